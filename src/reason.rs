//! Reasons for local replies, refusals and closes: one closed set of codes.
//!
//! The code of a reason stands in the log, in the metric `smolgate_local_replies_total{reason}`, in the
//! access log's `reason` and in `Proxy-Status: smolgate; error=...; details="<code>"` (RFC 9209). A new
//! reason is one line in the table below; a test walks the table.

/// Builds the enum and its functions from one table, so that no row can be incomplete.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $status:literal, $error:literal, $explain:literal;)*) => {
        /// The reason why smolgate replied, refused or closed by itself.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])* #[doc = $explain] $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The code: lower case, words joined by `_`.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$name => $code,)* }
            }

            /// The status of the local reply, if one can still be sent.
            pub fn status(self) -> u16 {
                match self { $(Reason::$name => $status,)* }
            }

            /// The nearest error type of RFC 9209, section 2.3; empty if there is none.
            pub fn proxy_error(self) -> &'static str {
                match self { $(Reason::$name => $error,)* }
            }

            /// One sentence for the client.
            pub fn explain(self) -> &'static str {
                match self { $(Reason::$name => $explain,)* }
            }
        }
    };
}

reasons! {
    RequestMalformed = "request_malformed", 400, "http_request_error", "The request is not valid HTTP/1.1.";
    RequestFraming = "request_framing", 400, "http_request_error", "The request does not say clearly where its body ends.";
    RequestTarget = "request_target", 400, "http_request_error", "The request target is not valid, or has dot segments.";
    PathAmbiguous = "path_ambiguous", 400, "http_request_error", "Some servers read this path as one that a rule refuses, so it must be written plainly.";
    RequestHost = "request_host", 400, "http_request_error", "The request has no valid Host.";
    RequestBody = "request_body", 400, "http_request_error", "The request body is not valid chunked coding, or ended too early.";
    RequestTimeout = "request_timeout", 408, "http_request_error", "The request did not arrive in time.";
    RequestMethod = "request_method", 405, "http_request_denied", "This method is not served here.";
    BodyTooLarge = "body_too_large", 413, "http_request_error", "The request body is larger than the rule allows.";
    TargetTooLong = "target_too_long", 414, "http_request_error", "The request target is longer than this listener allows.";
    HeadTooLarge = "head_too_large", 431, "http_request_error", "The request head is larger than this listener allows.";
    ProxyHeader = "proxy_header", 400, "http_request_error", "The peer must name its client in a PROXY header, and did not send a valid one.";
    Misdirected = "misdirected", 421, "http_request_denied", "This connection cannot serve this host, so the client must open another one.";
    LoopDetected = "loop_detected", 508, "proxy_loop_detected", "A target leads back to smolgate.";
    CodingUnknown = "coding_unknown", 501, "http_request_error", "The request has a transfer coding that is not served.";
    ProtocolUnknown = "protocol_unknown", 501, "http_request_denied", "This protocol is not served over CONNECT.";
    VersionUnknown = "version_unknown", 505, "http_request_error", "This HTTP version is not served.";
    Http2Malformed = "http2_malformed", 400, "http_protocol_error", "The client broke the protocol of HTTP/2.";
    Http2Abuse = "http2_abuse", 429, "http_protocol_error", "The client made too much work over HTTP/2 without a use.";
    Dropped = "dropped", 444, "http_request_denied", "A rule closed the connection without a response.";
    RateLimited = "rate_limited", 429, "http_request_denied", "This client has sent too many requests, and may send more later.";
    Unauthorized = "unauthorized", 401, "http_request_denied", "A name and a password, or a sign-in, are needed here.";
    InsufficientScope = "insufficient_scope", 403, "http_request_denied", "This user may not do this.";
    AuthUnavailable = "auth_unavailable", 503, "destination_unavailable", "The server that knows the users does not answer.";
    AuthBusy = "auth_busy", 503, "connection_limit_reached", "Too many passwords are being checked.";
    RuleBusy = "rule_busy", 503, "connection_limit_reached", "As many requests as are allowed at once are open.";
    PluginFailed = "plugin_failed", 503, "destination_unavailable", "A plugin that decides about this request does not answer.";
    PluginRefused = "plugin_refused", 403, "http_request_denied", "A plugin does not let this connection pass.";
    NoRule = "no_rule", 404, "destination_not_found", "No rule matches this request.";
    FileNotFound = "file_not_found", 404, "destination_not_found", "There is no such file.";
    FileForbidden = "file_forbidden", 404, "http_request_denied", "There is no such file.";
    FileFailed = "file_failed", 503, "destination_unavailable", "The file could not be read.";
    FileShrunk = "file_shrunk", 500, "http_response_incomplete", "The file became shorter while it was sent.";
    NoTarget = "no_target", 503, "destination_unavailable", "The upstream has no live target.";
    TargetStarting = "target_starting", 503, "destination_unavailable", "The service is starting.";
    TargetBusy = "target_busy", 503, "connection_limit_reached", "Every target has as many requests as it may have.";
    BuffersFull = "buffers_full", 503, "connection_limit_reached", "The bodies of other requests that are collected take all memory for it.";
    NameNotFound = "name_not_found", 502, "dns_error", "The name of the target could not be resolved.";
    ConnectRefused = "connect_refused", 502, "connection_refused", "The target refused the connection.";
    ConnectTimeout = "connect_timeout", 504, "connection_timeout", "The target did not accept a connection in time.";
    ConnectFailed = "connect_failed", 502, "destination_ip_unroutable", "A connection to the target could not be opened.";
    TlsFailed = "tls_failed", 502, "tls_protocol_error", "The TLS handshake with the target failed.";
    TlsCertificate = "tls_certificate", 502, "tls_certificate_error", "The certificate of the target could not be verified.";
    UpstreamClosed = "upstream_closed", 502, "connection_terminated", "The target closed the connection before it sent a response.";
    UpstreamReset = "upstream_reset", 502, "connection_terminated", "The target reset the connection before it sent a response.";
    UpstreamTimeout = "upstream_timeout", 504, "http_response_timeout", "The target did not respond in time.";
    ResponseMalformed = "response_malformed", 502, "http_protocol_error", "The target's response is not valid HTTP.";
    ResponseTooLarge = "response_too_large", 502, "http_response_header_section_size", "The head of the target's response is too large.";
    ResponseTruncated = "response_truncated", 502, "http_response_incomplete", "The target closed the connection before the end of its response.";
    ResponseStalled = "response_stalled", 504, "http_response_timeout", "The target stopped sending before the end of its response.";
    UpgradeFailed = "upgrade_failed", 502, "http_upgrade_failed", "The target did not switch protocols as it was asked to.";
    ClientGone = "client_gone", 499, "", "The client left before the exchange ended.";
    ClientStalled = "client_stalled", 408, "", "The client stopped reading or sending.";
    TunnelIdle = "tunnel_idle", 408, "connection_timeout", "Neither side of the tunnel sent anything for too long.";
    ShuttingDown = "shutting_down", 503, "connection_limit_reached", "smolgate, the listener or the rule was stopped, and shutdown_timeout has passed.";
    Internal = "internal", 500, "proxy_internal_error", "smolgate had an internal error; its log says more.";
}

impl Reason {
    /// Whether the client is the cause, so that an operator need not look at it.
    pub fn is_client_error(self) -> bool {
        self.status() < 500
            || matches!(self, Reason::CodingUnknown | Reason::ProtocolUnknown | Reason::VersionUnknown)
    }

    /// The reason that a client is told. That a file is kept from clients would tell them that there is one.
    pub fn told(self) -> Reason {
        match self {
            Reason::FileForbidden => Reason::FileNotFound,
            reason => reason,
        }
    }

    /// Index in [`Reason::ALL`], for tables of counters.
    pub fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;
    use std::collections::HashSet;

    #[test]
    fn every_row_is_valid_and_every_code_unique() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert!((400..600).contains(&reason.status()), "{reason:?}");
            assert!(reason.code().bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2' | b'_')));
            assert!(reason.explain().ends_with('.'));
        }
    }
}
