-- A request's way through the proxy: which peer it gets (admission.lua), what is sent there (balancer.lua does the
-- tries), whether it becomes a WebSocket, and how it ended.
local admission = require "traffic.admission"
local basic_auth = require "traffic.basic_auth"
local counters = require "metrics.counters"
local https = require "traffic.https"
local inflight = require "traffic.inflight"
local outcome = require "traffic.outcome"
local pages = require "traffic.pages"
local pause = require "traffic.pause"
local request = require "traffic.request"
local rules = require "traffic.rules"
local split = require "traffic.split"
local waiting = require "traffic.waiting"

local get, set = request.get, request.set

local _M = {}

local function refuse(held, status)
    local app = held.app
    if not app or not app.is_routable then
        counters.count(counters.UNROUTED)
        return pages.send(status or 404)
    end
    return pages.send(503)
end

-- Where the target is another one, or where the answer is changed on its way back, another location sends the request.
local function send_to(route, target, is_changed)
    if target then
        set("target", target)
        if route.strip then
            set("forwarded_prefix", route.path)
        end
    end
    return ngx.exec(is_changed and "@changed" or "@stripped")
end

-- No replica has to do with the request any more, or not yet.
local function let_go(held)
    admission.release(held)
    held.peer = nil
end

-- Whether the app's own rules answer the request.
local function answer_here(held, own, is_again)
    local status, location, wait, page = rules.answer(own, is_again)
    if not status then
        return false
    end
    let_go(held)
    if location then
        pages.redirect(status, location)
    elseif status == 413 then
        -- nginx itself sends the page, and closes the connection on which the body would come.
        ngx.exit(status)
    else
        pages.send(status, wait, page)
    end
    return true
end

-- Whether the request may go on as it is. One whose password has yet to be compared is counted at no replica meanwhile, and begins
-- again then.
local function is_let_in(held, auth)
    local verdict, credential, place = basic_auth.verdict(auth)
    if verdict == basic_auth.RIGHT then
        return true
    end
    let_go(held)
    local status = 401
    if not verdict then
        verdict, status = basic_auth.check(auth, credential, place)
    end
    if verdict == basic_auth.RIGHT then
        _M.run(true)
    elseif verdict then
        ngx.header["WWW-Authenticate"] = auth.challenge
        pages.send(401)
    else
        pages.send(status, 1)
    end
    return false
end

-- `is_again`: it has waited for the end of a pause, or for its password to be compared.
function _M.run(is_again)
    local is_misdirected = https.is_on and get("https") == "on" and not https.arrive()
    local held, before = request.begin()
    if before then
        admission.release(before)
    end
    if is_misdirected then
        return refuse(held, https.MISDIRECTED)
    end
    local route, has_peer, target = admission.find(held)
    if target == https.REDIRECT then
        return https.redirect()
    end
    if route and route.tls and route.tls.hsts then
        https.tell_hsts(route.tls.hsts)
    end
    local own = route and held.app and held.app.rules
    if own and answer_here(held, own, is_again) then
        return
    end
    local auth = own and own.basic_auth
    if auth and not is_let_in(held, auth) then
        return
    end
    if own and own.pause and pause.left(own.pause) then
        let_go(held)
        return ngx.exec("@paused")
    end
    if not has_peer and not admission.hold(held) then
        return refuse(held, not route and target)
    end
    if auth then
        basic_auth.pass(auth)
    end
    local is_changed = own and own.headers or held.new_cookie
    if target or is_changed then
        return send_to(route, target, is_changed)
    end
end

-- Runs where a request waits, which is elsewhere than in `run`: a client that goes is noticed there, and gives its place back.
function _M.paused()
    local held = request.held()
    if waiting.wait(held, held.app.name) then
        return _M.run(true)
    end
end

-- Runs when the head of an answer to an upgrade is there.
function _M.upgraded()
    local held = request.held()
    if held and held.peer and not held.is_websocket and request.status() == 101 then
        inflight.upgrade(held.peer)
        held.is_websocket = true
    end
end

-- Runs when the head of any answer is there that may be changed.
function _M.changed()
    _M.upgraded()
    local held = request.held()
    local own = held and held.app and held.app.rules
    if own and own.headers then
        rules.change_headers(own)
    end
    if held and held.new_cookie then
        split.tell(held)
    end
end

-- The balancer does not see how a request's last try ended. A try that never connected has no time to connect.
local function note_last_try(held, status)
    local is_failed = (status == 502 or status == 504) and not held.is_given_up
    if is_failed and (get("upstream_connect_time") or ""):find("-$") then
        admission.eject(held.peer)
    end
end

-- Runs once for each request, whatever became of it.
function _M.finished()
    local held = request.finish()
    if not held then
        return
    end
    if held.gate then
        waiting.leave(held)
    end
    local peer, app, status = held.peer, held.app, request.status()
    if peer then
        admission.release(held)
        note_last_try(held, status)
    end
    if app then
        set("log_outcome", outcome.text((peer or app).outcome, status, held.retries))
        counters.observe(app, peer, status, ngx.now() - ngx.req.start_time())
    end
end

return _M
