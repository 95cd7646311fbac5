//! What a client has heard where a text has holes.

use std::collections::BTreeMap;
use std::ops::Index;

/// What came in the holes of a text that have a name.
///
/// ```no_run
/// # async fn test(alice: sockdrill::Client, bob: sockdrill::Client) {
/// let heard = alice.expect_like("token {token:[0-9a-f]+}\r\n").await;
/// bob.send([b"USE ", &heard["token"], b"\r\n"].concat()).await;
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard(BTreeMap<String, Vec<u8>>);

impl Heard {
    /// Of all that a client has captured, what stands for holes of these names.
    pub(super) fn of<'a>(
        names: impl Iterator<Item = &'a str>,
        captured: Vec<(String, Vec<u8>)>,
    ) -> Self {
        let mut captured: BTreeMap<_, _> = captured.into_iter().collect();
        Self(
            names
                .filter_map(|name| captured.remove_entry(name))
                .collect(),
        )
    }

    /// The bytes in the hole of this name; `None` where the text has no such hole.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

impl Index<&str> for Heard {
    type Output = [u8];

    /// # Panics
    /// The text has no hole of this name.
    fn index(&self, name: &str) -> &[u8] {
        match self.get(name) {
            Some(bytes) => bytes,
            None => panic!("the text has no hole `{{{name}:…}}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_of_other_texts_are_left_out() {
        let captured = ["id", "sid"].map(|name| (name.to_owned(), name.as_bytes().to_vec()));
        let heard = Heard::of(["sid"].into_iter(), captured.to_vec());
        assert_eq!(&heard["sid"], b"sid");
        assert_eq!(heard.get("id"), None);
    }
}
