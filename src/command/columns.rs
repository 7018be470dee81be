//! Tables on the terminal: aligned, and without a column that is empty throughout.

use curvature_runner::output::format;
use std::fmt::Write;

/// `rows` below `head`, columns with numbers to the right.
///
/// # Panics
/// On a row of another length than the head.
pub fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let used = |&column: &usize| rows.iter().any(|row| !row[column].is_empty());
    let shown: Vec<usize> = (0..head.len()).filter(used).collect();
    let cells = |column: usize| rows.iter().map(move |row| row[column].chars().count());
    let numeric = |column: usize| {
        let number = |cell: &str| !cell.is_empty() && format::is_number(cell);
        rows.iter().any(|row| number(&row[column]))
    };
    let width = |column: usize| cells(column).fold(head[column].chars().count(), usize::max);
    let line = |cell: &dyn Fn(usize) -> String| {
        let mut line = String::new();
        for (place, &column) in shown.iter().enumerate() {
            let (text, width) = (cell(column), width(column));
            let before = if place > 0 { "  " } else { "" };
            let _ = match numeric(column) && place > 0 {
                true => write!(line, "{before}{text:>width$}"),
                false => write!(line, "{before}{text:<width$}"),
            };
        }
        line.trim_end().to_string() + "\n"
    };
    let mut text = line(&|column| head[column].to_string());
    for row in rows {
        text += &line(&|column| row[column].clone());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_are_aligned_and_none_is_empty() {
        let row = |cells: [&str; 3]| cells.map(str::to_string).to_vec();
        let rows = [row(["exact", "", "12.455"]), row(["hmp", "", "2"])];
        assert_eq!(
            columns(&["estimator", "V", "trace"], &rows),
            "estimator   trace\nexact      12.455\nhmp             2\n"
        );
        let words = [row(["a", "same", "1"])];
        assert_eq!(
            columns(&["", "verdict", "n"], &words),
            "   verdict  n\na  same     1\n"
        );
    }
}
