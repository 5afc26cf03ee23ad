//! The folder in which certificates, keys and attempts are kept.
//!
//! ```text
//! lock                                  held by the gate that orders
//! CA/account-key                        PKCS #8 of the account
//! CA/staging-account-key                that of the account at the test system
//! CA/live/NAME -> ../archive/NAME/N     what is served: fullchain.pem and privkey.pem, as certbot has them
//! CA/archive/NAME/N/                    written whole, never changed
//! CA/attempts/NAME.json                 the record of attempts
//! CA/pending/NAME                       the key of an order that is under way
//! CA/orders.json                        when the last orders began
//! ```
//!
//! The `*` of a name is written `_wildcard`. The PEM files are what counts. Every file is replaced as a whole and has the mode 0600. All functions block.

mod layout;

pub use layout::{Lock, Store, StoredCertificate, file_name};
