//! An expansion, written by `expansion_tests.rs`.

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
        const _: () = ::underlay::__private::check_attribute(
            <CartEvent as ::underlay::__private::MessageOf<
                <events::CARTS as ::underlay::__private::DeclaredTopic>::Marker,
            >>::ATTRIBUTES,
            "country",
        );
        const _: () = ::underlay::__private::check_attribute(
            <CartEvent as ::underlay::__private::MessageOf<
                <events::CARTS as ::underlay::__private::DeclaredTopic>::Marker,
            >>::ATTRIBUTES,
            "kind",
        );
        const _: () = ::underlay::__private::check_attribute(
            <CartEvent as ::underlay::__private::MessageOf<
                <events::CARTS as ::underlay::__private::DeclaredTopic>::Marker,
            >>::ATTRIBUTES,
            "sku",
        );
        const _: () = ::underlay::__private::check_attribute(
            <CartEvent as ::underlay::__private::MessageOf<
                <events::CARTS as ::underlay::__private::DeclaredTopic>::Marker,
            >>::ATTRIBUTES,
            "urgent",
        );
        const _: () = ::underlay::__private::check_attribute(
            <CartEvent as ::underlay::__private::MessageOf<
                <events::CARTS as ::underlay::__private::DeclaredTopic>::Marker,
            >>::ATTRIBUTES,
            "draft",
        );
        fn __handle(
            body: ::underlay::__private::Bytes,
            delivery: ::underlay::__private::Delivery,
        ) -> ::underlay::__private::HandlerFuture {
            ::underlay::__private::std::boxed::Box::pin(async move {
                let _ = &delivery;
                let event = <CartEvent as ::underlay::__private::MessageOf<
                    <events::CARTS as ::underlay::__private::DeclaredTopic>::Marker,
                >>::decode(&body)?;
                <Result<
                    (),
                    Error,
                > as ::underlay::__private::HandlerOutcome>::into_outcome(
                    send_email(event).await,
                )
            })
        }
        const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
            "{\"declaration\":\"subscription\",\"name\":\"send-email\",\"topic\":\"",
            <events::CARTS as ::underlay::__private::DeclaredTopic>::NAME,
            "\",\"handler\":\"",
            ::underlay::__private::core::module_path!(),
            "::send_email\",\"max_concurrency\":100,\"ack_deadline\":\"30s\",\"retention\":\"7d\",\"min_backoff\":\"10s\",\"max_backoff\":\"10m\",\"max_retries\":100,\"filter\":{\"country\":{\"any_of\":[\"DE\",\"AT\"]},\"draft\":{\"any_of\":[\"false\"]},\"kind\":{\"none_of\":[\"test\",\"5\"]},\"sku\":{\"prefix\":\"A-\"},\"urgent\":{\"any_of\":[\"true\"]}},\"idempotent_in\":\"",
            <orders::ORDERS as ::underlay::__private::DeclaredDatabase>::NAME,
            "\",\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
            ::underlay::__private::core::module_path!(),
            "\",\"file\":\"src/lib.rs\",\"line\":1,\"column\":1}}",
        ];
        #[used]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__underlay"))]
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".undrlay"))]
        static __FRAGMENT: [::underlay::__private::core::primitive::u8; ::underlay::__private::fragment_len(
            __PARTS,
        )] = ::underlay::__private::fragment(__PARTS);
        #[::underlay::__private::linkme::distributed_slice(
            ::underlay::__private::DECLARATIONS
        )]
        #[linkme(crate = ::underlay::__private::linkme)]
        static __DECLARATION: ::underlay::__private::Declaration = ::underlay::__private::Declaration {
            fragment: &__FRAGMENT,
            item: ::underlay::__private::Item::Subscription(__handle),
        };
    }
};
