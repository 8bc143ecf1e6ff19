//! An expansion, written by `expansion_tests.rs`.

pub async fn get_order(Path(id): Path<i64>) -> Json<Order> {
    find(id).await
}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_get_order_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __UNDERLAY_get_order_1_1: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_get_order_1_1() {
        ::underlay::__private::core::panic!(
            "`#[api] fn get_order` must be declared at module level: move it out of the enclosing function, closure, `impl` or block"
        )
    }
    async fn get_order() {}
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_get_order_1_1();
        fn __register(
            router: ::underlay::__private::axum::Router,
        ) -> ::underlay::__private::axum::Router {
            router
                .route(
                    "/orders/{id}",
                    ::underlay::__private::axum::routing::on(
                        ::underlay::__private::axum::routing::MethodFilter::GET
                            .or(
                                ::underlay::__private::axum::routing::MethodFilter::HEAD,
                            ),
                        get_order,
                    ),
                )
        }
        const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
            "{\"declaration\":\"endpoint\",\"name\":\"get_order\",\"methods\":[\"GET\",\"HEAD\"],\"path\":\"/orders/{id}\",\"access\":\"public\",\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
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
            item: ::underlay::__private::Item::Endpoint(__register),
        };
    }
};
