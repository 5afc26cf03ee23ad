//! Accounts and proofs at the test authority: its questions to the gate, and the signatures that it checks.

#![allow(unreachable_pub)]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use serde_json::{Value, json};

use super::{Reply, Server, kind, problem};

use crate::support::client::Client;
use crate::support::tls::Tls;

/// 1.3.6.1.5.5.7.1.31, critical, up to the hash (RFC 8737, section 3).
const PROOF: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f\x01\x01\xff\x04\x22\x04\x20";

impl Server {
    pub(super) fn authorization(&self, number: usize) -> Value {
        let state = self.state.lock().unwrap();
        let order = &state.orders[number];
        let challenge = |kind: &str, path: &str| {
            let url = format!("{}/{path}/{number}", self.base);
            let mut shown = json!({ "type": kind, "url": url, "token": order.token, "status": order.proof });
            if order.proof == "invalid" {
                shown["error"] = order.reason.clone();
            }
            shown
        };
        let (mut dns, host) = (challenge("dns-01", "dns"), order.name.strip_prefix("*."));
        if state.persists {
            dns = challenge("dns-persist-01", "persist");
            dns.as_object_mut().unwrap().remove("token");
            dns["issuer-domain-names"] = json!(["ca.test"]);
        }
        json!({
            "status": order.proof,
            "identifier": { "type": kind(&order.name), "value": host.unwrap_or(&order.name) },
            "wildcard": host.is_some(),
            "challenges": match host {
                Some(_) => vec![dns],
                // RFC 8738, section 7.
                None if kind(&order.name) == "ip" => {
                    vec![challenge("tls-alpn-01", "tls"), challenge("http-01", "http")]
                }
                None => vec![challenge("http-01", "http"), challenge("tls-alpn-01", "tls"), dns],
            },
        })
    }

    /// Asks the gate in the background.
    pub(super) fn challenge(self: &Arc<Self>, number: usize, path: &str, account: &Value) -> Reply {
        let (server, path) = (self.clone(), path.to_owned());
        let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, account["x"], account["y"]);
        thread::spawn(move || {
            let (name, token, is_refused) = {
                let state = server.state.lock().unwrap();
                let order = &state.orders[number];
                (order.name.clone(), order.token.clone(), state.refused.contains(&order.name))
            };
            let gate = || loop {
                let gate = server.state.lock().unwrap().gate;
                match gate {
                    Some(gate) => break gate,
                    None => thread::sleep(Duration::from_millis(5)),
                }
            };
            let thumbprint = encode(digest(&SHA256, jwk.as_bytes()).as_ref());
            let expected = format!("{token}.{thumbprint}");
            let proven = match path.split('/').nth(1) {
                Some("tls") => tls(gate().1, &name, &expected),
                Some("http") => http(gate().0, &name, &token, &expected),
                Some("persist") => {
                    let has = server.state.lock().unwrap().dns.clone().expect("a source of texts");
                    let url = server.account_of(&jwk);
                    let (host, policy) = match name.strip_prefix("*.") {
                        Some(host) => (host, "; policy=wildcard"),
                        None => (&*name, ""),
                    };
                    let (record, text) =
                        (format!("_validation-persist.{host}"), format!("ca.test; accounturi={url}{policy}"));
                    has(&record, &text).then_some(()).ok_or_else(|| format!("{record} has not {text}"))
                }
                _ => {
                    let has = server.state.lock().unwrap().dns.clone().expect("a source of texts");
                    let name = format!("_acme-challenge.{}", name.strip_prefix("*.").unwrap_or(&name));
                    let text = encode(digest(&SHA256, expected.as_bytes()).as_ref());
                    has(&name, &text).then_some(()).ok_or_else(|| format!("{name} has no such text"))
                }
            };
            let proven = proven.and_then(|()| if is_refused { Err("refused".to_owned()) } else { Ok(()) });
            let mut state = server.state.lock().unwrap();
            let order = &mut state.orders[number];
            if order.proof != "pending" {
                return;
            }
            order.proof = if proven.is_ok() { "valid" } else { "invalid" };
            if let Err(why) = proven {
                order.reason = json!({ "type": "urn:ietf:params:acme:error:unauthorized", "detail": why });
            }
        });
        (200, Vec::new(), "{}".into())
    }

    /// The URL of the account with this key.
    pub(super) fn account_of(&self, jwk: &str) -> String {
        let key: Value = serde_json::from_str(jwk).unwrap();
        let state = self.state.lock().unwrap();
        state.accounts.iter().find(|(_, has)| **has == key).map(|(url, _)| url.clone()).unwrap()
    }

    /// Gives an account another key, which signs for itself (RFC 8555, section 7.3.5).
    pub(super) fn change_key(&self, old: &Value, inner: &Value) -> Reply {
        let protected: Value = json_part(inner, "protected");
        let payload: Value = json_part(inner, "payload");
        let mut state = self.state.lock().unwrap();
        let account = payload["account"].as_str().unwrap().to_owned();
        let is_right = is_signed(inner, &protected["jwk"])
            && protected["url"] == format!("{}/k", self.base)
            && payload["oldKey"] == *old
            && state.accounts.get(&account) == Some(old)
            && protected["jwk"] != *old;
        if !is_right {
            state.complaints.push(format!("a change of the key: {protected} {payload}"));
            return problem(400, "malformed", "key change");
        }
        state.accounts.insert(account, protected["jwk"].clone());
        (200, Vec::new(), "{}".into())
    }
}

/// Asks as http-01 does.
pub fn http(gate: SocketAddr, name: &str, token: &str, expected: &str) -> Result<(), String> {
    let host = match name.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => name.to_owned(),
    };
    let request = format!(
        "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    );
    let response = Client::connect(gate).exchange(request);
    match (response.status(), response.text()) {
        (200, text) if text == expected => Ok(()),
        (status, text) => Err(format!("{status}: {text}")),
    }
}

/// Asks as tls-alpn-01 does.
pub fn tls(gate: SocketAddr, name: &str, expected: &str) -> Result<(), String> {
    let shown = Arc::new(Shown::default());
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(shown.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let address = name.parse::<IpAddr>().ok();
    let asked = address.map_or_else(|| name.to_owned(), reverse);
    let session = Tls::connect(gate, &Arc::new(config), &asked).map_err(|error| error.to_string())?;
    if session.0.conn.alpn_protocol() != Some(b"acme-tls/1") {
        return Err("another protocol".into());
    }
    let certificate = shown.0.lock().unwrap().clone();
    let hash = digest(&SHA256, expected.as_bytes());
    let proof = [PROOF, hash.as_ref()].concat();
    let has = |part: &[u8]| certificate.windows(part.len()).any(|window| window == part);
    let (tag, bytes) = match address {
        None => (0x82, name.as_bytes().to_vec()),
        Some(IpAddr::V4(address)) => (0x87, address.octets().to_vec()),
        Some(IpAddr::V6(address)) => (0x87, address.octets().to_vec()),
    };
    let alt_name = [&[tag, u8::try_from(bytes.len()).unwrap()], &*bytes].concat();
    if has(&proof) && has(&alt_name) { Ok(()) } else { Err("another certificate".into()) }
}

/// The name of an address in the reverse lookup, which a hello has in place of the address (RFC 8738, section 6).
fn reverse(address: IpAddr) -> String {
    let (mut labels, end): (Vec<String>, _) = match address {
        IpAddr::V4(address) => (address.octets().map(|byte| byte.to_string()).into(), "in-addr.arpa"),
        IpAddr::V6(address) => {
            let digits: String = address.octets().iter().map(|byte| format!("{byte:02x}")).collect();
            (digits.chars().map(String::from).collect(), "ip6.arpa")
        }
    };
    labels.reverse();
    format!("{}.{end}", labels.join("."))
}

/// Takes any certificate, and keeps it.
#[derive(Debug, Default)]
struct Shown(Mutex<Vec<u8>>);

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap() = certificate.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a JWS is signed with this key.
pub fn is_signed(jws: &Value, key: &Value) -> bool {
    let coordinate = |name: &str| decode(key[name].as_str().unwrap());
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signed = format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    public.verify(signed.as_bytes(), &decode(jws["signature"].as_str().unwrap())).is_ok()
}

/// A part of a JWS that is JSON.
pub fn json_part(jws: &Value, name: &str) -> Value {
    serde_json::from_slice(&decode(jws[name].as_str().unwrap())).unwrap()
}

/// A time in these seconds.
pub fn after(seconds: i64) -> SystemTime {
    let (now, time) = (SystemTime::now(), Duration::from_secs(seconds.unsigned_abs()));
    if seconds < 0 { now - time } else { now + time }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 for URLs, without padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes {
        (bits, count) = (bits << 8 | u32::from(*byte), count + 8);
        while count >= 6 {
            count -= 6;
            text.push(char::from(DIGITS[(bits >> count & 63) as usize]));
        }
    }
    if count > 0 {
        text.push(char::from(DIGITS[(bits << (6 - count) & 63) as usize]));
    }
    text
}

/// The bytes of a text in base64 for URLs, without padding.
pub fn decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes() {
        let value = DIGITS.iter().position(|known| *known == digit).expect("a digit of base64");
        (bits, count) = (bits << 6 | value as u32, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
