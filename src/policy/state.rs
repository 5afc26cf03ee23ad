//! The state of policies for one request.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

use super::limits::{ConcurrencyLimit, ConcurrencyPermit, Pace, Paces};
use crate::config::plan::{Auth, Coding};
use crate::encoding::choose_coding;
use crate::http::{Claim, Name, RequestHead, reads_alike};

/// Parts of states that are kept for further requests, for each worker.
const SPARE_MAX: usize = 64;

/// Fields in which servers tell the name of the user, in the order of their use.
const USER_FIELDS: [&[u8]; 3] = [b"remote-user", b"x-auth-request-user", b"x-authentik-username"];

/// Bytes of lines that a part keeps room for.
const LINES_BYTES_KEPT: usize = 1_024;

thread_local! {
    /// Parts of states that ended. A policy allocates none while there are some.
    #[expect(clippy::vec_box, reason = "a spare part is used as it is, without another allocation")]
    static SPARE: RefCell<Vec<Box<Learned>>> = const { RefCell::new(Vec::new()) };
}

/// The state of policies for one request. Empty, and eight bytes, for a rule without policies.
#[derive(Default)]
pub struct PolicyState(Option<Box<Learned>>);

#[derive(Default)]
struct Learned {
    /// The steps before the first question have passed.
    has_asked: bool,
    /// The limits that count users have counted.
    has_counted_user: bool,
    /// The plugins have let the request pass.
    has_asked_plugins: bool,
    /// The target has no say in `Access-Control-*`.
    owns_cors: bool,
    /// The status of a refusal, if it is not that of its reason.
    status: Option<u16>,
    /// How the user was found.
    auth: Option<Arc<Auth>>,
    /// Field lines of plugins for the target, which are in `request` too. The client's fields with these names are removed.
    plugin_lines: Vec<u8>,
    /// The name of the user. Empty if it is not known.
    user: Vec<u8>,
    /// The claims of the user's token.
    claims: Option<Arc<[Claim]>>,
    /// Field lines for the target.
    request: Vec<u8>,
    /// Field lines for the response, whichever it is.
    response: Vec<u8>,
    permits: Vec<ConcurrencyPermit>,
    paces: Paces,
    /// Set if the response may change on its way to the client.
    watched: Option<Watched>,
}

/// The parts of a request that decide about the form of its response.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// The coding that the client prefers, of those that the gate makes.
    pub coding: Option<Coding>,
    /// Whether `If-None-Match` has a weak tag, as encoded responses have.
    pub names_weak_tag: bool,
}

impl PolicyState {
    fn learned(&mut self) -> &mut Learned {
        self.0.get_or_insert_with(|| SPARE.with_borrow_mut(Vec::pop).unwrap_or_default())
    }

    /// Field lines for the response, whichever it is.
    pub fn response_lines(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |learned| &learned.response)
    }

    /// Field lines for the target.
    pub fn request_lines(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |learned| &learned.request)
    }

    /// Whether fields of the client are removed.
    pub fn removes_fields(&self) -> bool {
        self.0.as_ref().is_some_and(|learned| learned.auth.is_some() || !learned.plugin_lines.is_empty())
    }

    /// Whether a field of the client is removed, because the gate tells the target of the user.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|learned| {
            learned.auth.as_deref().is_some_and(|auth| auth.removes(name))
                || has_field(&learned.plugin_lines, name)
        })
    }

    /// Whether the plugins have let the request pass.
    pub(super) fn has_asked_plugins(&self) -> bool {
        self.0.as_ref().is_some_and(|learned| learned.has_asked_plugins)
    }

    /// Records that the plugins have let the request pass, with their field lines for the target.
    pub fn pass_plugins(&mut self, lines: &[u8]) {
        let learned = self.learned();
        learned.has_asked_plugins = true;
        learned.request = without_fields(&learned.request, lines);
        learned.request.extend_from_slice(lines);
        learned.plugin_lines.extend_from_slice(lines);
    }

    /// The name of the user. Empty if it is not known.
    pub fn user(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |learned| &learned.user)
    }

    /// The claims of the user's token.
    pub fn claims(&self) -> &[Claim] {
        self.0.as_ref().and_then(|learned| learned.claims.as_deref()).unwrap_or_default()
    }

    /// Whether the user is known.
    pub fn is_identified(&self) -> bool {
        self.0.as_ref().is_some_and(|learned| learned.auth.is_some())
    }

    /// Records that the user is known, with the field for the target in which the user's name is.
    pub(super) fn identify(&mut self, auth: &Arc<Auth>, user: &str, field: Option<&str>) {
        let learned = self.learned();
        learned.auth = Some(auth.clone());
        learned.user.extend_from_slice(user.as_bytes());
        if let Some(field) = field {
            // Writing to a vector cannot fail.
            let _ = write!(learned.request, "{field}: {user}\r\n");
        }
    }

    /// Records that the user of a token is known, with the lines for the target.
    pub(super) fn identify_by_token(
        &mut self,
        auth: &Arc<Auth>,
        user: &[u8],
        claims: &Arc<[Claim]>,
        lines: &[u8],
    ) {
        let learned = self.learned();
        learned.auth = Some(auth.clone());
        learned.user.extend_from_slice(user);
        learned.claims = Some(claims.clone());
        learned.request.extend_from_slice(lines);
    }

    /// Records that a server has let the request in, with lines for the target and for the response.
    pub(super) fn let_in(&mut self, auth: &Arc<Auth>, request: &[u8], response: &[u8]) {
        let learned = self.learned();
        learned.auth = Some(auth.clone());
        learned.user.extend_from_slice(user_in(request).unwrap_or_default());
        learned.request.extend_from_slice(request);
        learned.response.extend_from_slice(response);
    }

    /// Records that the limits on users count the request. Tells whether they did before.
    pub(super) fn counts_user(&mut self) -> bool {
        std::mem::replace(&mut self.learned().has_counted_user, true)
    }

    /// The status of a refusal, if it is not that of its reason.
    pub fn refusal_status(&self) -> Option<u16> {
        self.0.as_ref().and_then(|learned| learned.status)
    }

    /// Sets the status of the refusal that follows.
    pub(super) fn refuse_with(&mut self, status: u16) {
        self.learned().status = Some(status);
    }

    /// Whether `Access-Control-*` of the target is removed.
    pub fn owns_cors(&self) -> bool {
        self.0.as_ref().is_some_and(|learned| learned.owns_cors)
    }

    /// The state of a connection that is passed on at these paces.
    pub fn of_connection(paces: Option<Paces>) -> Self {
        let mut state = Self::default();
        paces.into_iter().for_each(|paces| state.pace(paces));
        state
    }

    /// The pace of bytes from the target to the client, if they have one.
    #[inline]
    pub fn download(&self) -> Option<&Pace> {
        self.0.as_ref()?.paces.download.as_ref()
    }

    /// The pace of bytes from the client to the target, if they have one.
    #[inline]
    pub fn upload(&self) -> Option<&Pace> {
        self.0.as_ref()?.paces.upload.as_ref()
    }

    /// Limits the speed of this exchange, in the place of its rule.
    pub fn limit_speed(&mut self, paces: Paces) {
        self.pace(paces);
    }

    /// Whether a plugin has limited the speed.
    pub(super) fn has_own_speed(&self) -> bool {
        self.0.as_ref().is_some_and(|learned| {
            learned.has_asked_plugins && (learned.paces.download.is_some() || learned.paces.upload.is_some())
        })
    }

    pub(super) fn pace(&mut self, paces: Paces) {
        self.learned().paces = paces;
    }

    /// Takes what a tunnel has to keep: its place among the open requests, and its paces.
    pub fn for_tunnel(&mut self) -> PolicyState {
        std::mem::take(self)
    }

    /// Whether a question was asked, so that the steps before it have passed.
    pub(super) fn has_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|learned| learned.has_asked)
    }

    pub(super) fn asks(&mut self) {
        self.learned().has_asked = true;
    }

    pub(super) fn own_cors(&mut self) {
        self.learned().owns_cors = true;
    }

    /// Adds a field line to the response.
    pub(super) fn respond(&mut self, name: &str, value: &[u8]) {
        let lines = &mut self.learned().response;
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            lines.extend_from_slice(part);
        }
    }

    /// As [`PolicyState::respond`], with a list of names.
    pub(super) fn respond_with_list(&mut self, name: &str, items: &[Arc<str>]) {
        let lines = &mut self.learned().response;
        let mut before = [name, ": "];
        for item in items {
            for part in [before[0], before[1], item] {
                lines.extend_from_slice(part.as_bytes());
            }
            before = [", ", ""];
        }
        lines.extend_from_slice(b"\r\n");
    }

    /// As [`PolicyState::respond`], with a value that is formatted.
    pub(super) fn respond_with(&mut self, name: &str, value: fmt::Arguments<'_>) {
        // Writing to a vector cannot fail.
        let _ = write!(self.learned().response, "{name}: {value}\r\n");
    }

    /// Takes permits of these limits, those that it does not have yet. The error is the first limit without a free one.
    pub(super) fn enter<'a>(&mut self, limits: &'a [ConcurrencyLimit]) -> Result<(), &'a ConcurrencyLimit> {
        let taken = self.0.as_ref().map_or(0, |learned| learned.permits.len());
        for limit in &limits[taken..] {
            self.admit(limit.try_take().ok_or(limit)?);
        }
        Ok(())
    }

    /// Records that the response to this request may change.
    pub(super) fn watch_response(&mut self, head: &RequestHead<'_>) {
        let accepted = head.fields.find_list(b"accept-encoding").unwrap_or_default();
        let mut tags = head.fields.iter().filter(|field| field.known() == Name::IfNoneMatch);
        let names_weak_tag = tags.any(|tags| memchr::memmem::find(tags.value(), b"W/\"").is_some());
        self.learned().watched = Some(Watched { coding: choose_coding(&accepted), names_weak_tag });
    }

    /// Leaves the response as it is: what it depends on was decided.
    pub fn release_response(&mut self) {
        if let Some(learned) = &mut self.0 {
            learned.watched = None;
        }
    }

    /// Whether any policy has acted on the request.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.0.is_some()
    }

    /// The parts of the request that decide about the form of its response. `None` if that cannot change.
    pub fn watched(&self) -> Option<Watched> {
        self.0.as_ref().and_then(|learned| learned.watched)
    }

    /// Keeps a permit until the exchange or its tunnel ends.
    pub fn admit(&mut self, permit: ConcurrencyPermit) {
        self.learned().permits.push(permit);
    }
}

impl Drop for PolicyState {
    #[inline]
    fn drop(&mut self) {
        if let Some(learned) = self.0.take() {
            keep_for_others(learned);
        }
    }
}

/// Keeps a part for a further request.
fn keep_for_others(mut learned: Box<Learned>) {
    let Learned {
        has_asked,
        has_counted_user,
        has_asked_plugins,
        owns_cors,
        status,
        auth,
        plugin_lines,
        user,
        claims,
        request,
        response,
        permits,
        paces,
        watched,
    } = &mut *learned;
    *paces = Paces::default();
    *has_asked_plugins = false;
    (*has_asked, *has_counted_user, *owns_cors, *status) = (false, false, false, None);
    (*auth, *claims, *watched) = (None, None, None);
    for lines in [user, plugin_lines, request, response] {
        lines.clear();
        lines.shrink_to(LINES_BYTES_KEPT);
    }
    permits.clear();
    // At the end of a thread there may be no list any more.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(learned);
        }
    });
}

/// Whether a field with this name is among the lines.
fn has_field(lines: &[u8], name: &[u8]) -> bool {
    lines.split(|byte| *byte == b'\n').any(|line| {
        line.split_at_checked(name.len())
            .is_some_and(|(start, rest)| rest.starts_with(b":") && reads_alike(start, name))
    })
}

/// The lines, without those whose fields are among the others.
fn without_fields(lines: &[u8], others: &[u8]) -> Vec<u8> {
    let name = |line: &[u8]| memchr::memchr(b':', line).unwrap_or(0);
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !has_field(others, &line[..name(line)])).collect::<Vec<_>>().concat()
}

/// The name of the user in field lines for the target.
fn user_in(lines: &[u8]) -> Option<&[u8]> {
    USER_FIELDS.iter().find_map(|wanted| {
        lines.split(|byte| *byte == b'\n').find_map(|line| {
            let (name, value) = line.split_at_checked(wanted.len())?;
            let value = value.strip_prefix(b":")?.trim_ascii();
            (name.eq_ignore_ascii_case(wanted) && !value.is_empty()).then_some(value)
        })
    })
}
