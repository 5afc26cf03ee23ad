//! A name server for tests: it knows texts and aliases, and takes updates. The records are those of a provider too.

#![allow(dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use aws_lc_rs::hmac;

const A: u16 = 1;
const AAAA: u16 = 28;
const CAA: u16 = 257;
const TXT: u16 = 16;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const TSIG: u16 = 250;
const UPDATE: u8 = 5;

/// The key of updates: its name and its bytes.
pub const KEY: (&str, &[u8]) = ("key.test", b"secret");

#[derive(Default)]
struct Records {
    texts: Vec<(String, String)>,
    aliases: HashMap<String, String>,
    /// Lines `present NAME VALUE` and `cleanup NAME VALUE` of a program.
    file: Option<PathBuf>,
    /// Questions for texts that are answered without any.
    lag: usize,
    /// Every text that was ever added.
    added: Vec<(String, String)>,
    complaints: Vec<String>,
    addresses: Vec<(String, IpAddr)>,
    /// A name, a tag and a value of CAA.
    caa: Vec<(String, String, String)>,
}

/// The server, and the table behind it.
#[derive(Clone)]
pub struct TestDns {
    /// Where it answers.
    pub address: SocketAddr,
    records: Arc<Mutex<Records>>,
}

impl TestDns {
    pub fn start() -> TestDns {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let dns = TestDns { address: socket.local_addr().unwrap(), records: Arc::default() };
        let server = dns.clone();
        thread::spawn(move || {
            let mut bytes = [0; 2048];
            while let Ok((count, from)) = socket.recv_from(&mut bytes) {
                let _ = socket.send_to(&server.answer(&bytes[..count]), from);
            }
        });
        dns
    }

    /// Records come from the lines of a file, too.
    pub fn read(&self, file: PathBuf) {
        self.records.lock().unwrap().file = Some(file);
    }

    /// The next questions for texts find none.
    pub fn lag(&self, questions: usize) {
        self.records.lock().unwrap().lag = questions;
    }

    pub fn alias(&self, name: &str, to: &str) {
        self.records.lock().unwrap().aliases.insert(name.into(), to.into());
    }

    pub fn add(&self, name: &str, text: &str) {
        let mut records = self.records.lock().unwrap();
        records.texts.push((plain(name), text.into()));
        records.added.push((plain(name), text.into()));
    }

    pub fn remove(&self, name: &str, text: &str) {
        let mut records = self.records.lock().unwrap();
        records.texts.retain(|(has, is)| *has != plain(name) || is != text);
    }

    /// Whether an authority would find the text, after aliases.
    pub fn shows(&self, name: &str, text: &str) -> bool {
        let records = self.records.lock().unwrap();
        let name = records.aliases.get(name).map_or(name, |alias| alias);
        records.lag == 0 && records.all().iter().any(|(has, is)| has == name && is == text)
    }

    /// All texts that are there.
    pub fn texts(&self) -> Vec<(String, String)> {
        self.records.lock().unwrap().all()
    }

    /// All texts that were ever there.
    pub fn added(&self) -> Vec<(String, String)> {
        self.records.lock().unwrap().added.clone()
    }

    /// The name has this address.
    pub fn lead(&self, name: &str, to: &str) {
        self.records.lock().unwrap().addresses.push((plain(name), to.parse().unwrap()));
    }

    /// A line of CAA.
    pub fn restrict(&self, name: &str, tag: &str, value: &str) {
        self.records.lock().unwrap().caa.push((plain(name), tag.into(), value.into()));
    }

    pub fn complaints(&self) -> Vec<String> {
        self.records.lock().unwrap().complaints.clone()
    }

    fn answer(&self, message: &[u8]) -> Vec<u8> {
        let mut at = 12;
        let name = read_name(message, &mut at);
        let kind = number(message, at);
        let question = &message[12..at + 4];
        if message[2] >> 3 & 15 == UPDATE {
            let code = u8::from(!self.update(message, at + 4)) * 9;
            return head(message, code, 0, question);
        }
        let mut records = self.records.lock().unwrap();
        let (mut answers, mut count) = (Vec::new(), 0);
        let mut record = |kind: u16, content: &[u8]| {
            answers.extend([0xc0, 12]);
            [kind, 1, 0, 60, content.len() as u16].iter().for_each(|part| answers.extend(part.to_be_bytes()));
            answers.extend(content);
            count += 1;
        };
        match kind {
            CNAME => {
                if let Some(alias) = records.aliases.get(&name) {
                    record(CNAME, &write_name(alias));
                }
            }
            // The zone of every name is its own.
            SOA => record(SOA, &[0; 22]),
            A | AAAA => {
                for (_, address) in records.addresses.iter().filter(|(has, _)| *has == name) {
                    match address {
                        IpAddr::V4(v4) if kind == A => record(A, &v4.octets()),
                        IpAddr::V6(v6) if kind == AAAA => record(AAAA, &v6.octets()),
                        _ => {}
                    }
                }
            }
            CAA => {
                for (_, tag, value) in records.caa.iter().filter(|(has, ..)| *has == name) {
                    record(CAA, &[&[0, tag.len() as u8], tag.as_bytes(), value.as_bytes()].concat());
                }
            }
            TXT if records.lag > 0 => records.lag -= 1,
            TXT => {
                for (_, text) in records.all().iter().filter(|(has, _)| *has == name) {
                    record(TXT, &[&[text.len() as u8], text.as_bytes()].concat());
                }
            }
            _ => {}
        }
        let mut bytes = head(message, 0, count, question);
        bytes.extend(answers);
        bytes
    }

    /// One record of TXT to add or to remove, and a signature. Returns whether that is right.
    fn update(&self, message: &[u8], mut at: usize) -> bool {
        let name = read_name(message, &mut at);
        let (class, length) = (number(message, at + 2), usize::from(number(message, at + 8)));
        let text = String::from_utf8(message[at + 11..at + 10 + length].to_vec()).unwrap();
        at += 10 + length;
        let unsigned = message[..at].to_vec();
        let is_signed = number(message, 10) == 1 && is_signed(unsigned, &message[at..]);
        match (is_signed, class) {
            (true, 1) => self.add(&name, &text),
            (true, 254) => self.remove(&name, &text),
            _ => self.records.lock().unwrap().complaints.push(format!("update of {name}: class {class}")),
        }
        is_signed
    }
}

impl Records {
    fn all(&self) -> Vec<(String, String)> {
        let mut texts = self.texts.clone();
        let file = self.file.as_ref().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        for line in file.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [verb, name, value] = words[..] else { continue };
            let record = (plain(name), value.to_owned());
            match verb {
                "present" => texts.push(record),
                _ => texts.retain(|has| *has != record),
            }
        }
        texts
    }
}

/// Checks the signature in `record` over the message before it (RFC 8945, section 4.3.3).
fn is_signed(mut unsigned: Vec<u8>, record: &[u8]) -> bool {
    let mut at = 0;
    let key = read_name(record, &mut at);
    let kind = number(record, at);
    at += 10;
    let start = at;
    read_name(record, &mut at);
    let times = at + 8;
    let length = usize::from(number(record, times));
    let tag = &record[times + 2..times + 2 + length];
    unsigned[11] = 0;
    let covered =
        [&*unsigned, &write_name(&key), &[0, 255, 0, 0, 0, 0], &record[start..times], &[0, 0, 0, 0]].concat();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, KEY.1);
    kind == TSIG && key == KEY.0 && hmac::verify(&secret, &covered, tag).is_ok()
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The head of an answer, with the question or the zone of the message.
fn head(message: &[u8], code: u8, answers: u16, question: &[u8]) -> Vec<u8> {
    let mut bytes = message[..2].to_vec();
    bytes.extend([0x84 | message[2] & 0x78, code, 0, 1]);
    bytes.extend(answers.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(question);
    bytes
}

fn read_name(bytes: &[u8], at: &mut usize) -> String {
    let mut labels = Vec::new();
    while bytes[*at] != 0 {
        let length = usize::from(bytes[*at]);
        labels.push(String::from_utf8(bytes[*at + 1..*at + 1 + length].to_vec()).unwrap());
        *at += 1 + length;
    }
    *at += 1;
    labels.join(".")
}

fn write_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}
