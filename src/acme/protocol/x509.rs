//! Keys, and what they sign in DER: requests for certificates (RFC 2986), and certificates that sign themselves
//! (RFC 5280).

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::base64;
use crate::config::plan::KeyKind;
use crate::tls::address_of;

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OBJECT: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[2]` and `[7]` of a GeneralName: a DNS name, an address.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// `[0]` and `[3]` around several values.
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;

/// 1.2.840.10045.2.1, 1.2.840.10045.3.1.7 and 1.3.132.0.34: a public key on P-256 or P-384.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P_384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.2.840.10045.4.3.2 and 1.2.840.10045.4.3.3.
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// 1.2.840.113549.1.1.1 and 1.2.840.113549.1.1.11: a key of RSA, and its signatures.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// 1.2.840.113549.1.9.14.
const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
/// 2.5.29.17 and 2.5.4.3.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 1.3.6.1.5.5.7.1.31 (RFC 8737, section 6.1).
const ACME_IDENTIFIER: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1f];

/// The key of a certificate.
pub(in crate::acme) enum LeafKey {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

impl LeafKey {
    /// A new key of the usual kind, and the same as PKCS #8.
    pub(in crate::acme) fn generate() -> Result<(Self, Vec<u8>), Unspecified> {
        Self::generate_of(KeyKind::P256)
    }

    /// A new key, and the same as PKCS #8. One of RSA takes up to seconds.
    pub(in crate::acme) fn generate_of(kind: KeyKind) -> Result<(Self, Vec<u8>), Unspecified> {
        let of_rsa = |size| {
            let pair = rsa::KeyPair::generate(size)?;
            let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)?.as_ref().to_vec();
            Ok((Self::Rsa(pair), der))
        };
        let (algorithm, wrap): (_, fn(EcdsaKeyPair) -> Self) = match kind {
            KeyKind::P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, Self::P256),
            KeyKind::P384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, Self::P384),
            KeyKind::Rsa2048 => return of_rsa(KeySize::Rsa2048),
            KeyKind::Rsa4096 => return of_rsa(KeySize::Rsa4096),
        };
        let pair = EcdsaKeyPair::generate(algorithm)?;
        let der = pair.to_pkcs8v1()?.as_ref().to_vec();
        Ok((wrap(pair), der))
    }

    /// A key that was generated earlier, of any kind. `None` if the bytes are none.
    pub(in crate::acme) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).ok().map(Self::P256);
        let p384 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der).ok().map(Self::P384);
        let rsa = || rsa::KeyPair::from_pkcs8(der).ok().map(Self::Rsa);
        p256.or_else(p384).or_else(rsa)
    }

    /// A request for a certificate with this key and one name.
    pub(in crate::acme) fn request(&self, name: &str) -> Result<Vec<u8>, Unspecified> {
        let extensions = value(SEQUENCE, &alt_name(name));
        let wanted = sequence(&[&value(OBJECT, EXTENSION_REQUEST), &value(SET, &extensions)]);
        // The subject is empty: names stand in the extension, and a commonName has 64 characters at most.
        let info = sequence(&[
            &value(INTEGER, &[0]),
            &value(SEQUENCE, &[]),
            &self.public(),
            &value(CONTEXT_0, &wanted),
        ]);
        self.signed(info)
    }

    /// A certificate that this key signs for itself, which answers a challenge of tls-alpn-01 (RFC 8737, section
    /// 3).
    pub(in crate::acme) fn challenge(
        &self,
        name: &str,
        key_authorization: &str,
    ) -> Result<Vec<u8>, Unspecified> {
        let hash = value(OCTET_STRING, digest(&SHA256, key_authorization.as_bytes()).as_ref());
        let proof = sequence(&[
            &value(OBJECT, ACME_IDENTIFIER),
            &value(BOOLEAN, &[0xff]),
            &value(OCTET_STRING, &hash),
        ]);
        self.self_signed("smolgate answers a challenge", &[alt_name(name), proof].concat())
    }

    /// A certificate that this key signs for itself. `extensions` may be empty.
    pub(in crate::acme) fn self_signed(
        &self,
        common_name: &str,
        extensions: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let name = sequence(&[&value(OBJECT, COMMON_NAME), &value(UTF8_STRING, common_name.as_bytes())]);
        let name = value(SEQUENCE, &value(SET, &name));
        // RFC 5280, section 4.1.2.5: the end means that there is none.
        let validity = sequence(&[
            &value(GENERALIZED_TIME, b"20000101000000Z"),
            &value(GENERALIZED_TIME, b"99991231235959Z"),
        ]);
        let version = value(CONTEXT_0, &value(INTEGER, &[2]));
        let serial = value(INTEGER, &[1]);
        let extensions = match extensions {
            [] => Vec::new(),
            extensions => value(CONTEXT_3, &value(SEQUENCE, extensions)),
        };
        let public = self.public();
        self.signed(sequence(&[
            &version,
            &serial,
            &self.algorithm(),
            &name,
            &validity,
            &name,
            &public,
            &extensions,
        ]))
    }

    /// The SubjectPublicKeyInfo.
    fn public(&self) -> Vec<u8> {
        let on_curve = |curve| sequence(&[&value(OBJECT, EC_PUBLIC_KEY), &value(OBJECT, curve)]);
        match self {
            Self::P256(pair) => sequence(&[&on_curve(P_256), &bits(pair.public_key().as_ref())]),
            Self::P384(pair) => sequence(&[&on_curve(P_384), &bits(pair.public_key().as_ref())]),
            Self::Rsa(pair) => {
                let algorithm = sequence(&[&value(OBJECT, RSA), &value(NULL, &[])]);
                sequence(&[&algorithm, &bits(pair.public_key().as_ref())])
            }
        }
    }

    /// The AlgorithmIdentifier of its signatures.
    fn algorithm(&self) -> Vec<u8> {
        match self {
            Self::P256(_) => value(SEQUENCE, &value(OBJECT, ECDSA_WITH_SHA256)),
            Self::P384(_) => value(SEQUENCE, &value(OBJECT, ECDSA_WITH_SHA384)),
            // RFC 4055, section 5: the parameters are NULL.
            Self::Rsa(_) => sequence(&[&value(OBJECT, RSA_WITH_SHA256), &value(NULL, &[])]),
        }
    }

    fn signed(&self, body: Vec<u8>) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        let signature = match self {
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, &body)?.as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, &body, &mut signature)?;
                signature
            }
        };
        Ok(sequence(&[&body, &self.algorithm(), &bits(&signature)]))
    }
}

/// A private key in PEM.
pub(in crate::acme) fn key_pem(pkcs8: &[u8]) -> String {
    base64::pem("PRIVATE KEY", pkcs8)
}

/// The extension with the one DNS name, or the one address (RFC 8738, section 3).
fn alt_name(name: &str) -> Vec<u8> {
    let name = match address_of(name) {
        None => value(DNS_NAME, name.as_bytes()),
        Some(IpAddr::V4(address)) => value(IP_ADDRESS, &address.octets()),
        Some(IpAddr::V6(address)) => value(IP_ADDRESS, &address.octets()),
    };
    let names = value(SEQUENCE, &name);
    sequence(&[&value(OBJECT, SUBJECT_ALT_NAME), &value(OCTET_STRING, &names)])
}

/// A BIT STRING of whole bytes.
fn bits(bytes: &[u8]) -> Vec<u8> {
    value(BIT_STRING, &[&[0], bytes].concat())
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(SEQUENCE, &parts.concat())
}

/// Tag, length and content (X.690, section 8.1).
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut der = vec![tag];
    match content.len() {
        short @ 0..=0x7f => der.push(short as u8),
        _ => {
            der.push(0x80 | digits.len() as u8);
            der.extend(digits);
        }
    }
    der.extend(content);
    der
}

/// A chain with its key, for rustls. Whether they belong together is not checked.
pub(in crate::acme) fn certified(
    chain: Vec<CertificateDer<'static>>,
    pkcs8: Vec<u8>,
) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let key = provider::sign::any_supported_type(&PrivateKeyDer::Pkcs8(pkcs8.into()))?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateSigningRequestDer;

    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        for (length, head) in
            [(0, &[0x30, 0][..]), (127, &[0x30, 127]), (128, &[0x30, 0x81, 128]), (256, &[0x30, 0x82, 1, 0])]
        {
            assert!(value(SEQUENCE, &vec![7; length]).starts_with(head), "{length}");
        }
    }

    #[test]
    fn a_request_for_an_address_has_its_bytes() {
        let (key, _) = LeafKey::generate().unwrap();
        for text in ["192.0.2.7", "2001:db8::1"] {
            let request = CertificateSigningRequestDer::from(key.request(text).unwrap());
            let read = rcgen::CertificateSigningRequestParams::from_der(&request).unwrap();
            let expected = rcgen::SanType::IpAddress(text.parse().unwrap());
            assert_eq!(read.params.subject_alt_names, [expected]);
        }
    }

    #[test]
    fn another_library_reads_the_request_and_checks_its_signature() {
        let long = format!("{}.{}.example.com", "a".repeat(63), "b".repeat(63));
        for kind in KeyKind::ALL {
            let (_, der) = LeafKey::generate_of(kind).unwrap();
            let key = LeafKey::from_pkcs8(&der).unwrap();
            for name in ["a.example.com", &long] {
                let request = CertificateSigningRequestDer::from(key.request(name).unwrap());
                let read = rcgen::CertificateSigningRequestParams::from_der(&request).unwrap();
                assert_eq!(read.params.subject_alt_names.len(), 1);
                assert!(format!("{:?}", read.params.subject_alt_names).contains(name));
            }
        }
    }
}
