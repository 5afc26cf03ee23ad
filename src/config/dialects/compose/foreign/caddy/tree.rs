//! Labels as a tree of directives.

use crate::config::dialects::compose::foreign::adapted::Adapted;
use crate::config::dialects::compose::foreign::source::Written;

/// A directive: its arguments and the directives below it.
#[derive(Default)]
pub(super) struct Tree<'w> {
    /// The name without a number that orders or isolates.
    pub(super) word: &'w str,
    /// The part of the label with that number.
    part: &'w str,
    /// The label, as it is written. Empty if only labels below it are.
    pub(super) label: String,
    pub(super) value: &'w str,
    pub(super) below: Vec<Tree<'w>>,
}

impl<'w> Tree<'w> {
    /// The directive below with that part of a label, which is added if it is not there.
    fn child(&mut self, part: &'w str) -> &mut Tree<'w> {
        let at = self.below.iter().position(|child| child.part == part).unwrap_or_else(|| {
            self.below.push(Tree { word: word(part), part, ..Tree::default() });
            self.below.len() - 1
        });
        &mut self.below[at]
    }

    /// Adds a note for every label of the tree.
    pub(super) fn note(&self, adapted: &mut Adapted, why: &str) {
        if !self.label.is_empty() {
            adapted.note(&self.label, self.value, why);
        }
        self.note_below(adapted, why);
    }

    /// Adds a note for every label below.
    pub(super) fn note_below(&self, adapted: &mut Adapted, why: &str) {
        self.below.iter().for_each(|child| child.note(adapted, why));
    }
}

/// Parts of one label.
const PARTS_MAX: usize = 16;

/// The trees of a service, in written order, and the part of the labels that names each.
pub(super) fn groups(written: &Written) -> Vec<(String, Tree<'_>)> {
    let mut root = Tree::default();
    for entry in &written.entries {
        let mut tree = &mut root;
        for part in entry.key.splitn(PARTS_MAX, '.') {
            tree = tree.child(part);
        }
        tree.label = entry.name.clone();
        tree.value = &entry.value;
    }
    root.below.into_iter().map(|tree| (tree.part.to_owned(), tree)).collect()
}

/// The group of a label: `caddy`, or `caddy_` and a number.
pub(super) fn group(name: &str) -> Option<&str> {
    let group = name.split('.').next()?;
    let number = group.strip_prefix("caddy")?;
    let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    (number.is_empty() || number.strip_prefix('_').is_some_and(is_number)).then_some(group)
}

/// `reverse_proxy` of `0_reverse_proxy` and of `reverse_proxy_0`.
fn word(part: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let part = part.split_once('_').filter(|(number, _)| is_number(number)).map_or(part, |(_, rest)| rest);
    part.rsplit_once('_').filter(|(_, number)| is_number(number)).map_or(part, |(rest, _)| rest)
}
