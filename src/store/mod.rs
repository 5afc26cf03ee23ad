//! The place in which certificates, keys and attempts are kept: a folder of this gate, or a bucket that gates share.
//!
//! ```text
//! lock                                  held by the gate that orders: only in a folder
//! lease                                 the gate that orders, at all CAs: only in a bucket
//! CA/account-key                        PKCS #8 of the account
//! CA/staging-account-key                that of the account at the test system
//! CA/live/NAME -> ../archive/NAME/N     what is served: fullchain.pem and privkey.pem, as certbot has them; one value in a bucket
//! CA/archive/NAME/N/                    written whole, never changed: only in a folder
//! CA/attempts/NAME.json                 the record of attempts
//! CA/pending/NAME                       the key of an order that is under way
//! CA/challenges/NAME                    the challenge that is open: only in a bucket
//! CA/wishes/NAME                        the wish of an operator for the gate that orders: only in a bucket
//! CA/orders.json                        when the last orders began
//! ```
//!
//! The `*` of a name is written `_wildcard`. The PEM files of a folder are what counts. Every file is replaced as a whole
//! and has the mode 0600. Every value of a bucket is sealed. All functions block.

mod store;

mod folder;
#[cfg_attr(not(feature = "s3"), path = "not_shared.rs")]
mod shared;

mod certificate;

pub use certificate::{StoredCertificate, file_name};
pub use store::{Lock, Store, challenge_file, wish_file};
