-- The proxy's own answers to clients: short, plain, and without a word about what runs inside.
local request = require "traffic.request"

local _M = {}

local PAGES = {
    [400] = { "Bad request", "The request names no valid host or path." },
    [308] = { "Moved", "This address is served over HTTPS." },
    [401] = { "Sign in", "This address is open to those who sign in." },
    [403] = { "Not allowed", "This address is not open to you." },
    [404] = { "Not found", "There is nothing at this address." },
    [413] = { "Too large", "The request is larger than what is accepted here." },
    [421] = { "Misdirected request", "This connection was opened for another host." },
    [429] = { "Too many requests", "There are too many requests from this address. Please try again later." },
    [500] = { "Error", "Something went wrong. Please try again." },
    [502] = { "No answer", "The application did not answer. Please try again." },
    [503] = { "Not available", "The application is not available right now. Please try again in a moment." },
    [504] = { "No answer in time", "The application did not answer in time. Please try again." },
}

local RETRY_AFTER_S = 5

local HTML = [[<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%s</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}p{color:#666}</style>
</head><body><h1>%s</h1><p>%s</p></body></html>
]]

local function wants(kind)
    return (ngx.var.http_accept or ""):find(kind, 1, true) ~= nil
end

local function body(status, page)
    if page.type then
        return page.type, page.body
    end
    if wants("text/html") then
        return "text/html; charset=utf-8", HTML:format(page[1], page[1], page[2])
    end
    if wants("json") then
        return "application/json", ('{"status":%d,"error":"%s"}\n'):format(status, page[2])
    end
    return "text/plain; charset=utf-8", page[2] .. "\n"
end

-- The app's own page, where it has one.
local function of_app(status)
    local held = request.held()
    local own = held and held.app and held.app.rules
    return own and own.pages and own.pages[status]
end

-- Answers the request and ends it. `wait`: seconds after which another try is welcome. `page`: another than the usual one, as
-- { title, text } or { type =, body = }.
function _M.send(status, wait, page)
    local kind, text = body(status, page or of_app(status) or PAGES[status] or PAGES[500])
    ngx.status = status
    ngx.header["Content-Type"] = kind
    ngx.header["Content-Length"] = #text
    ngx.header["Cache-Control"] = "no-store"
    ngx.header["X-Request-ID"] = ngx.var.forwarded_request_id
    ngx.header["Server"] = nil
    if wait or status == 503 then
        ngx.header["Retry-After"] = wait or RETRY_AFTER_S
    end
    ngx.print(text)
    return ngx.exit(ngx.HTTP_OK)
end

-- Answers the request with another address, and ends it.
function _M.redirect(status, location)
    local text = "The address is now " .. location .. "\n"
    ngx.status = status
    ngx.header["Location"] = location
    ngx.header["Content-Type"] = "text/plain; charset=utf-8"
    ngx.header["Content-Length"] = #text
    ngx.header["X-Request-ID"] = ngx.var.forwarded_request_id
    ngx.header["Server"] = nil
    ngx.print(text)
    return ngx.exit(ngx.HTTP_OK)
end

-- nginx itself failed the request: no peer could be reached, or it broke off before it answered.
function _M.fault()
    local held = request.held()
    return _M.send(held and held.is_late and 504 or ngx.status)
end

return _M
