//! A plugin in Rust: it lets requests with a key pass, and tells the target of the user. `docs/plugins.md` explains it.

use std::io::{self, BufRead, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use serde_json::{Value, json};

fn decide(request: &Value) -> Value {
    match request["h"]["X-Key"].as_str() {
        Some("sesame") => json!({ "ok": true, "h": { "X-User": "ann" } }),
        _ => json!({ "ok": false, "s": 401, "b": "no key\n" }),
    }
}

fn serve(mut stream: UnixStream) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut call = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut call)?;
        let call: Value = serde_json::from_slice(&call)?;
        let answer = decide(&call["d"]).to_string();
        stream.write_all(&(answer.len() as u32).to_be_bytes())?;
        stream.write_all(answer.as_bytes())?;
    }
}

fn main() -> io::Result<()> {
    let path = format!("/tmp/plugin-{}.sock", std::process::id());
    let listener = UnixListener::bind(&path)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    // Each line tells of a rule. The end of the input is the end of the gate.
    for line in io::stdin().lock().lines() {
        line?;
        let ready = json!({ "socket": path, "hooks": ["on_request"], "encoding": "json" });
        let mut out = io::stdout().lock();
        writeln!(out, "{}", json!({ "method": "ready", "params": ready }))?;
        out.flush()?;
    }
    std::fs::remove_file(path)
}
