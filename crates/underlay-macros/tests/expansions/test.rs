//! An expansion, written by `expansion_tests.rs`.

#[::underlay::__private::core::prelude::v1::test]
#[cfg(unix)]
fn finds() {
    async fn body() {
        find(1).await;
    }
    ::underlay::__private::test(
        ::underlay::__private::core::concat!(
            ::underlay::__private::core::module_path!(), "::", "finds"
        ),
        body,
    )
}
