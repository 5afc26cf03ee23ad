//! Finds the known word that a wrong one was probably meant to be.

/// The candidate nearest to `word`, if it is near enough for a hint. A third of its letters, and at least one, may
/// be missing, added, changed or swapped with the next. Otherwise, the first candidate that begins with `word`.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let begun = |candidate: &&str| word.len() >= BEGINNING && candidate.starts_with(word);
    slip(word, &candidates).or_else(|| candidates.iter().copied().find(begun))
}

/// Letters of the shortest beginning that may stand for a word: `path` for `path_prefix`.
const BEGINNING: usize = 4;

fn slip<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word: String = word.chars().take(LONGEST_WORD).flat_map(char::to_lowercase).collect();
    let allowed = |candidate: &str| (candidate.chars().count() / 3).max(1);
    candidates
        .iter()
        .map(|candidate| (strsim::osa_distance(&word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= allowed(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Characters that are compared. The cost is quadratic, and longer words need no hint.
const LONGEST_WORD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_typing_errors_and_nothing_far_off() {
        let keys = ["target", "targets", "upstream", "host"];
        assert_eq!(did_you_mean("targt", keys), Some("target"));
        assert_eq!(did_you_mean("tragets", keys), Some("targets"));
        assert_eq!(did_you_mean("Host", keys), Some("host"));
        assert_eq!(did_you_mean("hsot", keys), Some("host"));
        assert_eq!(did_you_mean("certificate", keys), None);
        assert_eq!(did_you_mean("cert", ["certificates", "key"]), Some("certificates"));
        assert_eq!(did_you_mean("path", ["name", "path_prefix"]), Some("path_prefix"));
        assert_eq!(did_you_mean("cer", ["certificates"]), None);
        assert_eq!(did_you_mean("", keys), None);
    }
}
