//! Where a declaration stands, for the model and for names that must be unique.

use proc_macro2::Span;
use underlay_model::Source;

/// The place of a span. The module is filled by the caller: only the compiler knows it, after expansion.
pub(crate) fn source(span: Span, module: String) -> Source {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let (file, line, column) = place(span);
    Source {
        package,
        module,
        file,
        line,
        column,
    }
}

/// File, line and column; fixed outside of the compiler, where the tests of this crate expand.
pub(crate) fn place(span: Span) -> (String, u32, u32) {
    if !proc_macro::is_available() {
        return ("src/lib.rs".to_owned(), 1, 1);
    }
    let span = span.unwrap();
    let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    (span.file(), number(span.line()), number(span.column()))
}
