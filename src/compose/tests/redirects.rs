//! `redirects` of an app.

use super::Case;

const EXAMPLE: &str = "write such as `redirects: [{ host: www.example.com, to: example.com, status: 301 }]`";

fn block(redirects: &str) -> Case {
    Case::block(&format!("      port: 80\n      routes: [{{ host: shop.test }}]\n      redirects: {redirects}\n"))
}

#[test]
fn their_hosts_become_routes_of_the_app() {
    let app = block(
        "[{ host: WWW.shop.test, to: Shop.test, status: 301 }, { path: /old/, to: /new/ }, \
         { host: shop.test, path: /docs, to: \"https://Docs.test:8443/\" }, { host: www.shop.test, path: /a, to: /b }]",
    )
    .first_app();
    let told: Vec<String> = app.settings.redirects.iter().map(ToString::to_string).collect();
    let expected = [
        "www.shop.test/ to shop.test (301)",
        "*/old to /new (307)",
        "shop.test/docs to https://docs.test:8443/ (307)",
        "www.shop.test/a to /b (307)",
    ];
    assert_eq!(told, expected);
    let routes: Vec<String> = app.routes.iter().map(ToString::to_string).collect();
    assert_eq!(routes, ["shop.test/", "www.shop.test/"]);
    let project = block("[{ host: www.shop.test, to: shop.test }]").project();
    let name = project.apps.keys().next().expect("an app");
    assert_eq!(project.urls(name, "localhost"), ["http://shop.test:8080"], "nobody is served at the other");
    assert!(block("null").first_app().settings.redirects.is_empty());
}

#[test]
fn what_leads_nowhere_is_refused_with_its_place() {
    let refuses = |redirect: &str, message: &str, hint: &str| {
        block(&format!("[{redirect}]")).refuses(&format!("7:{message}"), hint);
    };
    let looped = "name another host, or a path that is not below its own, in `to`";
    refuses("{ host: a.test, to: a.test }", "19: the redirect of a.test/ to a.test (307) leads to itself", looped);
    refuses("{ path: /a, to: shop.test }", "19: the redirect of */a to shop.test (307) leads to itself", looped);
    refuses("{ path: /a, to: /a/b }", "19: the redirect of */a to /a/b (307) leads to itself", looped);
    refuses("{ to: a.test }", "19: a redirect needs a `host`, a `path` or both", EXAMPLE);
    refuses("{ path: /a }", "19: a redirect needs a `to`", EXAMPLE);
    refuses("/a", "19: `redirects` must be a list of maps, not `/a`", EXAMPLE);
    let status = "47: `status` must be `301`, `302`, `307` or `308`, not `303`";
    refuses("{ path: /a, to: /b, status: 303 }", status, "");
    for to in
        ["ftp://a.test", "a.test/b", "/a?b", "/a b", "//a.test", "https://", "a.test:0", "a_b", "https://a.test//b"]
    {
        let error = block(&format!("[{{ path: /x, to: \"{to}\" }}]")).error();
        assert!(
            error.contains("`to` must be a host such as `example.com`, a path such as `/new`, or a URL"),
            "{error}"
        );
    }
    refuses("{ path: /a, too: /b, to: /b }", "31: unknown key `too` in `redirects`", "did you mean `to`?");
    let twice = "services:\n  a: { image: a, x-deploy-apps: { port: 80, routes: [{ host: a.test }], \
                 redirects: [{ host: b.test, to: a.test }] } }\n  \
                 b: { image: a, x-deploy-apps: { port: 80, routes: [{ host: b.test }] } }\n";
    let error = Case::new(twice).error();
    assert!(error.contains("apps `a` and `b` have one route, `b.test/`"), "{error}");
}
