//! An expansion, written by `expansion_tests.rs`.

::core::compile_error! {
    "`idempotent_in` needs the feature `postgres` of underlay: underlay = { features = [\"postgres\"] }"
}
async fn send_email(event: CartEvent) -> Result<(), Error> {
    mail(event).await
}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_send_email_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __UNDERLAY_send_email_1_1: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_send_email_1_1() {
        ::underlay::__private::core::panic!(
            "`#[subscription] fn send_email` must be declared at module level: move it out of the enclosing function, closure, `impl` or block"
        )
    }
    fn send_email<T>(
        _: T,
    ) -> ::underlay::__private::core::future::Ready<Result<(), Error>> {
        ::underlay::__private::core::unreachable!()
    }
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_send_email_1_1();
    }
};
