//! Pages of rows, some of which cannot be read.

/// Reads rows, newest first, until `count` of them were readable or none is left. A row that cannot be read hides no
/// other row, and ends no list.
///
/// `read` gets an id and a number of rows, and returns that many rows with lower ids: the id of each, and its record,
/// if it can be read.
///
/// # Errors
/// Those of `read`.
pub fn read_readable<T, E>(
    count: usize,
    before: &str,
    mut read: impl FnMut(&str, usize) -> Result<Vec<(String, Option<T>)>, E>,
) -> Result<Vec<T>, E> {
    let mut before = before.to_owned();
    let mut found = Vec::new();
    loop {
        let rows = read(&before, count)?;
        let is_last = rows.len() < count;
        if let Some((id, _)) = rows.last() {
            before.clone_from(id);
        }
        found.extend(rows.into_iter().filter_map(|(_, record)| record));
        if is_last || found.len() >= count {
            found.truncate(count);
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads from rows with the ids 1 to 9, newest first, and counts the reads.
    fn page(count: usize, before: &str, unreadable: &[u8]) -> (Vec<u8>, usize) {
        let mut reads = 0;
        let found = read_readable(count, before, |before, count| {
            reads += 1;
            let older = (1..=9_u8).rev().filter(|id| id.to_string().as_str() < before);
            let rows = older.map(|id| (id.to_string(), (!unreadable.contains(&id)).then_some(id)));
            Ok::<_, ()>(rows.take(count).collect())
        });
        (found.unwrap(), reads)
    }

    #[test]
    fn a_page_goes_on_past_rows_that_cannot_be_read() {
        assert_eq!(page(3, "z", &[]), (vec![9, 8, 7], 1));
        assert_eq!(page(3, "z", &[8]), (vec![9, 7, 6], 2));
        assert_eq!(page(3, "7", &[6, 5, 4]), (vec![3, 2, 1], 2));
        assert_eq!(page(2, "z", &[9, 8, 7, 6]), (vec![5, 4], 3), "whole pages of them");
        assert_eq!(page(3, "z", &[1, 2, 3, 4, 5, 6, 7, 8, 9]).0, Vec::<u8>::new());
        assert_eq!(page(20, "z", &[5]), (vec![9, 8, 7, 6, 4, 3, 2, 1], 1));
    }
}
