//! What somebody most likely meant who wrote a word that does not exist.

use strsim::osa_distance;

/// No word of the language is longer; comparing more would only cost time.
const LONGEST: usize = 40;

/// The known word that is the fewest slips of the finger away, if any is close: a letter too many, too few or another one, or two that
/// are swapped.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.to_lowercase().chars().take(LONGEST).collect();
    let letters = word.chars().count();
    // Signals have their short names here, which are the long ones in C.
    let short = word.strip_prefix("sig");
    let known = known.into_iter();
    let distances = known.map(|known| {
        let small = known.to_lowercase();
        let is_short = short == Some(small.as_str());
        let distance = if is_short {
            0
        } else {
            osa_distance(&word, &small)
        };
        (distance, known)
    });
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + letters / 4 && distance < letters).then_some(nearest)
}

/// Whether one slip of the finger makes one short word of the other.
pub(crate) fn is_one_slip_from(word: &str, known: &str) -> bool {
    osa_distance(word, known) == 1
}

/// `; did you mean ...?`, for the end of a message, where a known word is close.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = nearest(word, known);
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// What is wrong in a TOML text, with what was most likely meant by a word that there is not.
pub(crate) fn toml_mistake(error: &toml::de::Error) -> String {
    let meant = meant_in(error.message());
    format!("{}{meant}", error.to_string().trim())
}

/// `; did you mean ...?`, where serde tells of a word that there is not, and a known one is close.
pub(crate) fn meant_in(message: &str) -> String {
    // serde tells it so, and each word in backquotes.
    let is_unknown = ["unknown field", "unknown variant"]
        .iter()
        .any(|kind| message.starts_with(kind));
    let mut words = message.split('`').skip(1).step_by(2).filter(|_| is_unknown);
    let meant = words.next().map(|word| did_you_mean(word, words));
    meant.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_that_a_toml_text_may_not_have_is_guessed_at() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Options {
            #[serde(rename = "idle-timeout")]
            _idle: Option<String>,
            #[serde(rename = "backlog")]
            _backlog: Option<u32>,
        }
        let mistake = |text| toml_mistake(&toml::from_str::<Options>(text).unwrap_err());
        let told = mistake("idle-timout = '2s'");
        assert!(
            told.ends_with("`backlog`; did you mean `idle-timeout`?"),
            "{told}"
        );
        assert!(mistake("x = 1").ends_with("`backlog`"));
        assert!(!mistake("backlog = 'many'").contains("did you mean"));
    }

    #[test]
    fn nearest_word_is_a_slip_of_the_finger_away() {
        let known = ["connect", "send", "send-urgent", "reset"];
        assert_eq!(nearest("conect", known), Some("connect"));
        assert_eq!(nearest("sned", known), Some("send"));
        assert_eq!(nearest("RESET", known), Some("reset"));
        assert_eq!(nearest("unplug", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("SIGTERM", ["KILL", "TERM"]), Some("TERM"));
    }

    #[test]
    fn longer_word_may_have_more_slips_and_a_letter_stands_for_no_other() {
        let known = ["send-urgent", "y"];
        assert_eq!(nearest("snd-rgnt", known), Some("send-urgent"));
        assert_eq!(nearest("snd-rgt", known), None);
        assert_eq!(nearest("x", known), None);
    }

    #[test]
    fn word_that_is_far_from_all_is_not_guessed_at() {
        assert_eq!(
            did_you_mean("ech", ["echo", "banner"]),
            "; did you mean `echo`?"
        );
        assert_eq!(did_you_mean("./server", ["echo", "banner"]), "");
    }
}
