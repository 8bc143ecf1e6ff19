//! Columns of text.

/// Rows under a heading, each column as wide as its widest cell.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let heading = heading.map(str::to_owned);
    let rows: Vec<&[String; N]> = std::iter::once(&heading).chain(rows).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default();
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_needed() {
        let rows = [
            ["*".to_owned(), "schön".to_owned(), "1".to_owned()],
            ["".to_owned(), "b".to_owned(), "23".to_owned()],
        ];
        assert_eq!(
            table(["", "N", "COUNT"], &rows),
            "   N      COUNT\n*  schön  1\n   b      23\n"
        );
    }
}
