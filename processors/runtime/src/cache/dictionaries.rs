//! What blocks are compressed against: the records of some executions, as examples of the others.
//!
//! Executions of a workflow name the same tasks, events and fields. An example outlives its execution: it is in memory
//! for as long as the lane has the partition, for there are blocks that are read with it alone.

/// Bytes of an example at most: a block's compression reads all of it.
const EXAMPLE_BYTES: usize = 4 * 1024;

/// Examples, each more than twice as long as the one before, so that there are few, and little is lost where the first
/// ones are of executions that had just begun.
#[derive(Default)]
pub struct Dictionaries(Vec<Box<[u8]>>);

impl Dictionaries {
    /// Takes records as an example, where they are a better one; tells the number of the best.
    pub fn learn(&mut self, records: &[u8]) -> u8 {
        let example = &records[..records.len().min(EXAMPLE_BYTES)];
        if example.len() > 2 * self.0.last().map_or(0, |best| best.len()) {
            self.0.push(example.into());
        }
        self.0.len() as u8
    }

    /// The dictionary of this number for the execution of this id; that of number 0 is the id alone.
    pub fn get(&self, number: u8, execution_id: &str) -> Vec<u8> {
        let example = usize::from(number).checked_sub(1).and_then(|index| self.0.get(index));
        [example.map_or(&[][..], |example| example), execution_id.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_kept_and_another_one_is_taken_where_it_is_more_than_twice_as_long() {
        let mut dictionaries = Dictionaries::default();
        assert_eq!(dictionaries.get(0, "id"), b"id");
        let numbers = ["", "abc", "abcdef", "abcdefg", "none"].map(|records| dictionaries.learn(records.as_bytes()));
        assert_eq!(numbers, [0, 1, 1, 2, 2]);
        assert_eq!((dictionaries.get(1, "id"), dictionaries.get(2, "")), (b"abcid".to_vec(), b"abcdefg".to_vec()));
        assert_eq!(dictionaries.learn(&[7; 1_000_000]), 3);
        assert_eq!((dictionaries.get(3, "").len(), dictionaries.learn(&[8; 1_000_000])), (EXAMPLE_BYTES, 3));
    }
}
