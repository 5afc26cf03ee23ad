//! Servers that write records of DNS, as providers ask them: httpreq, acme-dns and Cloudflare at one address.

#![allow(dead_code, unreachable_pub)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::dns::TestDns;

/// Base64 of `user:password`.
const BASIC: &str = "authorization: basic dxnlcjpwyxnzd29yza==";

/// Starts the servers. Returns their URL.
pub fn start(dns: &TestDns) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dns = dns.clone();
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let dns = dns.clone();
            thread::spawn(move || serve(socket, &dns));
        }
    });
    url
}

fn serve(mut socket: TcpStream, dns: &TestDns) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let (mut line, mut fields) = (String::new(), String::new());
    reader.read_line(&mut line).unwrap();
    while reader.read_line(&mut fields).is_ok_and(|count| count > 2) {}
    let fields = fields.to_ascii_lowercase();
    let length = fields.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, answer) = answer(line.trim_end_matches(" HTTP/1.1\r\n"), &fields, &body, dns);
    let answer = answer.to_string();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    socket.write_all((head + &answer).as_bytes()).unwrap();
}

fn answer(line: &str, fields: &str, body: &Value, dns: &TestDns) -> (u16, Value) {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    match line {
        "POST /present" | "POST /cleanup" => {
            if !fields.contains(BASIC) {
                return (401, json!("who are you?"));
            }
            match line {
                "POST /present" => dns.add(&text("fqdn"), &text("value")),
                _ => dns.remove(&text("fqdn"), &text("value")),
            }
            (200, json!({}))
        }
        "POST /update" if fields.contains("x-api-user: user") && fields.contains("x-api-key: password") => {
            dns.add(&format!("{}.auth.test", text("subdomain")), &text("txt"));
            (200, json!({ "txt": text("txt") }))
        }
        _ if fields.contains("authorization: bearer token") => cloudflare(line, body, dns),
        _ => (403, json!({ "errors": [{ "message": "no" }] })),
    }
}

fn cloudflare(line: &str, body: &Value, dns: &TestDns) -> (u16, Value) {
    let found = |result: Value| (200, json!({ "success": true, "result": result }));
    // An identifier is the text in hexadecimal digits.
    let id = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    if line == "GET /zones?name=test" {
        return found(json!([{ "id": "z1" }]));
    }
    if line.starts_with("GET /zones?name=") {
        return found(json!([]));
    }
    if let Some(name) = line.strip_prefix("GET /zones/z1/dns_records?type=TXT&name=") {
        let texts = dns.texts().into_iter().filter(|(has, _)| has == name);
        let rows = texts.map(|(_, text)| json!({ "id": id(&text), "content": format!("\"{text}\"") }));
        return found(rows.collect());
    }
    if line == "POST /zones/z1/dns_records" {
        let text = |key: &str| body[key].as_str().unwrap().to_owned();
        assert_eq!((&*text("type"), &body["ttl"]), ("TXT", &json!(60)));
        dns.add(&text("name"), text("content").trim_matches('"'));
        return found(json!({}));
    }
    let all = dns.texts();
    let gone = line.strip_prefix("DELETE /zones/z1/dns_records/");
    match gone.and_then(|gone| all.iter().find(|(_, text)| id(text) == gone)) {
        Some((name, text)) => {
            dns.remove(name, text);
            found(json!({}))
        }
        None => (404, json!({ "errors": [{ "message": line }] })),
    }
}
