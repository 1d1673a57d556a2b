//! `error_pages` of an app: files in place of the pages that the proxy itself answers with.

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, clip};
use crate::local;
use crate::model::{ErrorPage, Page};

/// Of all pages of an app. Every worker of the proxy keeps them.
const MOST_BYTES: usize = 256 << 10;

pub(super) fn read(cx: &mut Context<'_>, entry: &Entry) -> Vec<ErrorPage> {
    let map = cx.keep(collections::map(entry));
    let fields = map.map_or(&[][..], |map| &map.entries).iter().filter(|field| !field.value.is_null());
    let mut pages: Vec<ErrorPage> = Vec::new();
    for field in fields.filter(|field| !field.key.starts_with("x-")) {
        let page = page(cx, field);
        pages.extend(cx.keep(page));
    }
    pages.sort_by_key(|page| page.status);
    let bytes: usize = pages.iter().map(|page| page.page.body.len()).sum();
    if bytes > MOST_BYTES {
        let problem = Problem::at(entry.key_span, format!("the pages of `error_pages` have {bytes} bytes together"));
        cx.refuse(problem.hint("at most 256 KiB are taken; pictures may come from elsewhere"));
    }
    pages
}

fn page(cx: &Context<'_>, field: &Entry) -> Read<ErrorPage> {
    let status = field.key.parse().ok().filter(|status| ErrorPage::STATUSES.contains(status));
    let Some(status) = status else {
        let message = format!("the proxy itself never answers with `{}`", clip(&field.key));
        return Err(Problem::at(field.key_span, message)
            .hint("it does with 401, 403, 413, 429, 500, 502, 503 and 504; other answers are the app's own"));
    };
    let name = field.text()?;
    let path = cx.path(&name);
    let body = local::text(&path, Page::LARGEST)
        .map_err(|error| Problem::at(field.value.span, format!("page `{}` {error}", path.display())).unsupported())?;
    let page = Page::of(&name, body).ok_or_else(|| {
        Problem::at(field.value.span, format!("page `{}` is neither .html, .json nor .txt", clip(&name)))
            .hint("its ending says as what it is sent")
    })?;
    Ok(ErrorPage { status, page })
}
