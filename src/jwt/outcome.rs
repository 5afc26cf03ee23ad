//! The results of reading keys and of looking for one.

/// The reason why a text holds no keys, and the cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyProblem {
    /// The end of a sentence about the text.
    pub problem: &'static str,
    /// The cure.
    pub hint: &'static str,
}

/// The result of a look for the key of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The signature is that of a key.
    Signer,
    /// It is the signature of no key.
    OtherSignature,
    /// There is no key with this identity and for this algorithm.
    NoKey,
}

/// The reason why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It is no token, or one that is not understood.
    Malformed,
    /// Its algorithm is not allowed.
    Algorithm,
    /// No key has its identity. A newer set may have one.
    UnknownKey,
    /// Its signature is not that of the key.
    Signature,
    /// It has expired.
    Expired,
    /// It would never expire.
    Endless,
    /// It is not valid yet.
    NotYetValid,
    /// It is of another issuer.
    Issuer,
    /// It is for another audience.
    Audience,
    /// A claim cannot be written into a field.
    Claim,
}

impl TokenError {
    /// A sentence for the client, without quotes.
    pub fn explain(self) -> &'static str {
        match self {
            TokenError::Malformed => "It is not a signed token that is understood",
            TokenError::Algorithm => "Its algorithm is not allowed",
            TokenError::UnknownKey => "Its key is not known",
            TokenError::Signature => "Its signature is wrong",
            TokenError::Expired => "It has expired",
            TokenError::Endless => "It has no exp, so it would never expire",
            TokenError::NotYetValid => "It is not valid yet",
            TokenError::Issuer => "It is of another issuer",
            TokenError::Audience => "It is for another audience",
            TokenError::Claim => "A claim has a control character",
        }
    }
}
