//! Algorithms of signatures (RFC 7518, section 3; RFC 8037).

use std::fmt;

/// Builds the enum and its functions from one table.
macro_rules! algorithms {
    ($($name:ident = $label:literal;)*) => {
        /// An algorithm by which a token may be signed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Algorithm {
            $(#[doc = $label] $name,)*
        }

        impl Algorithm {
            /// Every algorithm.
            pub const ALL: &[Algorithm] = &[$(Algorithm::$name,)*];

            /// The name in tokens.
            pub fn label(self) -> &'static str {
                match self { $(Algorithm::$name => $label,)* }
            }
        }
    };
}

algorithms! {
    Rs256 = "RS256";
    Rs384 = "RS384";
    Rs512 = "RS512";
    Ps256 = "PS256";
    Ps384 = "PS384";
    Ps512 = "PS512";
    Es256 = "ES256";
    Es384 = "ES384";
    EdDsa = "EdDSA";
    Hs256 = "HS256";
    Hs384 = "HS384";
    Hs512 = "HS512";
}

impl Algorithm {
    /// The algorithm of this name. Upper and lower case differ, so `None` and `none` are both none.
    pub fn find(name: &str) -> Option<Algorithm> {
        // RFC 9864 calls EdDSA with this curve so.
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.iter().copied().find(|algorithm| algorithm.label() == name)
    }

    /// Bytes of the shortest secret (RFC 7518, section 3.2). `None` if the key is a public one.
    pub fn secret_bytes_min(self) -> Option<usize> {
        match self {
            Algorithm::Hs256 => Some(32),
            Algorithm::Hs384 => Some(48),
            Algorithm::Hs512 => Some(64),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
