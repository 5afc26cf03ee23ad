//! The mappings of TLS on a listener.

use super::by_hand::{ByHand, PATH, REQUIRED};
use crate::config::keys::Form;
use Form::{Either, Flag, Mapping as Map, OneOrMany, Words};

const CERTIFICATE: Form = Either(&[PATH, Map("a certificate")]);

pub(super) const LISTENER_TLS: &[ByHand] = &[
    ("certificates", OneOrMany(&CERTIFICATE), "", "One or many files or folders, or { cert, key }."),
    (
        "default_certificate",
        CERTIFICATE,
        "",
        "The certificate for unknown names. Without it such a handshake fails.",
    ),
    ("acme", Flag, "false", "Whether certificates are ordered for the hosts that no file covers."),
    ("client_auth", Map("`client_auth`"), "", "The certificates of clients."),
];

pub(super) const CERTIFICATES: &[ByHand] = &[
    ("path", PATH, "", "A .crt or .pem with the .key of the same name beside it, or a folder of them."),
    ("cert", PATH, "", "A PEM file with the certificate and its chain."),
    ("key", PATH, "", "A PEM file with the private key."),
    (
        "client_auth",
        Map("`client_auth`"),
        "",
        "The certificates of clients, for the names of this certificate.",
    ),
];

pub(super) const CLIENT_AUTH: &[ByHand] = &[
    ("ca", PATH, REQUIRED, "A PEM file of the authorities for client certificates."),
    ("mode", Words(&["required", "optional"]), "required", "Whether a client must have a certificate."),
];
