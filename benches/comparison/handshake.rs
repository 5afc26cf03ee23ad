//! `handshake PORT CONNECTIONS SECONDS 1.2|1.3 new|resumed`: opens connections of this version of TLS as
//! fast as it can, so many at once, asks one thing on each, closes it, and prints how many there were and
//! how long they took, as JSON.
//!
//! One cipher suite and one group for the keys, which every server has: what is compared must do the same
//! work. A connection that took another group fails, and with `resumed` one whose handshake was a full one.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, Tls12Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, NamedGroup, SignatureScheme,
    SupportedCipherSuite,
};

/// How long a read or a write may take before the connection counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers are small.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What one thread has seen, or all of them.
#[derive(Default)]
struct Tally {
    /// From the first packet to the end of the answer, of every connection that got one.
    times: Vec<Duration>,
    /// Connections without an answer, with one that is not 200, or with a handshake of the wrong kind or group.
    failed: usize,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, connections, seconds, version, kind] = &words[..] else {
        return usage();
    };
    let (Ok(port), Ok(connections), Ok(seconds)) =
        (port.parse::<u16>(), connections.parse::<u32>(), seconds.parse::<f64>())
    else {
        return usage();
    };
    let suite = match &version[..] {
        "1.2" => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "1.3" => cipher_suite::TLS13_AES_128_GCM_SHA256,
        _ => return usage(),
    };
    let kind = match &kind[..] {
        "new" => HandshakeKind::Full,
        "resumed" => HandshakeKind::Resumed,
        _ => return usage(),
    };
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let threads: Vec<_> =
        (0..connections).map(|_| thread::spawn(move || shake_hands(port, suite, kind, end))).collect();
    let mut all = Tally::default();
    for thread in threads {
        let tally = thread.join().expect("a thread that does not panic");
        all.times.extend(tally.times);
        all.failed += tally.failed;
    }
    all.times.sort_unstable();
    let told = writeln!(io::stdout(), "{}", all.json(start.elapsed()));
    told.expect("somebody who reads standard output");
}

fn usage() {
    eprintln!("usage: handshake PORT CONNECTIONS SECONDS 1.2|1.3 new|resumed");
    std::process::exit(2);
}

impl Tally {
    /// Times must be sorted.
    fn json(&self, seconds: Duration) -> String {
        let at = |share: f64| {
            let last = self.times.len().saturating_sub(1);
            let time = self.times.get((last as f64 * share).round() as usize);
            time.map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        format!(
            "{{\"requests\": {}, \"seconds\": {}, \"failed\": {}, \"p50\": {:.1}, \"p99\": {:.1}}}",
            self.times.len(),
            seconds.as_secs_f64(),
            self.failed,
            at(0.5),
            at(0.99)
        )
    }
}

/// One connection after the other until `end`. Tickets are those of this thread's connections before.
fn shake_hands(port: u16, suite: SupportedCipherSuite, kind: HandshakeKind, end: Instant) -> Tally {
    let config = Arc::new(config(suite, kind));
    let mut tally = Tally::default();
    if kind == HandshakeKind::Resumed
        && let Err(error) = connect(port, &config)
    {
        eprintln!("the first connection: {error}");
        tally.failed += 1;
    }
    while Instant::now() < end {
        let begin = Instant::now();
        match connect(port, &config) {
            Ok(was) if was == kind => tally.times.push(begin.elapsed()),
            Ok(was) => {
                eprintln!("the handshake was {was:?}");
                tally.failed += 1;
            }
            Err(error) => {
                eprintln!("{error}");
                tally.failed += 1;
            }
        }
    }
    tally
}

/// The version is that of the cipher suite.
fn config(suite: SupportedCipherSuite, kind: HandshakeKind) -> ClientConfig {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![suite],
        // The second is the certificate's: by TLS 1.2, servers take the list for what we can verify, too.
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[suite.version()])
        .expect("a version that the cipher suite is of")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    if kind == HandshakeKind::Full {
        // Tickets are asked for, as by everybody, and then forgotten.
        config.resumption = Resumption::disabled().tls12_resumption(Tls12Resumption::SessionIdOrTickets);
    }
    config
}

/// One connection with one exchange; what kind of handshake it took.
fn connect(port: u16, config: &Arc<ClientConfig>) -> io::Result<HandshakeKind> {
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    let mut stream = rustls::Stream::new(&mut session, &mut tcp);
    stream.write_all(REQUEST)?;
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
    match read {
        // Some servers close without saying so, but not in the middle.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ if !answer.ends_with(b"\r\n\r\nok") => return Err(io::Error::other("the answer is cut off")),
        _ if !answer.starts_with(b"HTTP/1.1 200 ") => return Err(io::Error::other("not a 200")),
        _ => {}
    }
    if session.negotiated_key_exchange_group().is_some_and(|group| group.name() != NamedGroup::X25519) {
        return Err(io::Error::other("the keys are not by X25519"));
    }
    session.handshake_kind().ok_or_else(|| io::Error::other("the handshake did not end"))
}

/// Believes everything: the client's work is not what is measured, and takes time of its core.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
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
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
