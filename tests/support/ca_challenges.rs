//! The questions of the test authority to the gate.

#![allow(unreachable_pub)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::support::client::Client;
use crate::support::tls::Tls;

/// 1.3.6.1.5.5.7.1.31, critical, up to the hash (RFC 8737, section 3).
const PROOF: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f\x01\x01\xff\x04\x22\x04\x20";

/// Asks as http-01 does.
pub fn http(gate: SocketAddr, name: &str, token: &str, expected: &str) -> Result<(), String> {
    let request = format!(
        "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
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
    let session = Tls::connect(gate, &Arc::new(config), name).map_err(|error| error.to_string())?;
    if session.0.conn.alpn_protocol() != Some(b"acme-tls/1") {
        return Err("another protocol".into());
    }
    let certificate = shown.0.lock().unwrap().clone();
    let hash = digest(&SHA256, expected.as_bytes());
    let proof = [PROOF, hash.as_ref()].concat();
    let has = |part: &[u8]| certificate.windows(part.len()).any(|window| window == part);
    let alt_name = [&[0x82, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    if has(&proof) && has(&alt_name) { Ok(()) } else { Err("another certificate".into()) }
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
