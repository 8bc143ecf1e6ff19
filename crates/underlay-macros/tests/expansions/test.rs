//! An expansion, written by `expansion_tests.rs`.

#[::core::prelude::v1::test]
#[should_panic(expected = "no such order")]
fn fails() {
    async fn body() {
        find(1).await;
    }
    ::underlay::__private::test(
        ::core::concat!(::core::module_path!(), "::", "fails"),
        body,
    )
}
