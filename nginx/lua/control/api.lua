-- The control API: finds the call, reads its body, and writes its answer or error. Contract: README.md.
local instance = require "handover.instance"
local json = require "json"
local problem = require "control.problem"

local _M = {}

local LONGEST_BODY = 64 * 1024 * 1024

local function respond(status, text)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Content-Length"] = #text + 1
    ngx.print(text, "\n")
end

local function respond_error(refusal)
    local fields = { code = refusal.code, message = refusal.message }
    for name, value in pairs(refusal.details) do
        fields[name] = value
    end
    respond(refusal.status, '{"error":' .. json.encode(fields) .. "}")
end

local function body_text()
    ngx.req.read_body()
    local text = ngx.req.get_body_data()
    if text then
        return text
    end
    local path = ngx.req.get_body_file()
    if not path then
        return ""
    end
    local file = assert(io.open(path, "rb"))
    text = file:read("*a")
    file:close()
    return text
end

-- The call's body as an object, and as the text that was sent.
local function read_body()
    local text = body_text()
    local body, why = json.decode(text)
    if type(body) ~= "table" or text:find("^%s*%[") then
        problem.refuse(400, "bad_json", "the body is not a JSON object" .. (why and ": " .. why or ""))
    end
    return body, text
end

local function call(module, name)
    return function(...)
        return require(module)[name](...)
    end
end

-- Each takes (body, text) for POST and (arguments) for GET, and returns JSON text, or nil when it has answered itself.
local CALLS = {
    ["GET /v1/instance"] = call("handover.calls", "instance"),
    ["POST /v1/handover"] = call("handover.calls", "handover"),
    ["POST /v1/serve"] = call("handover.calls", "serve"),
    ["POST /v1/follow"] = call("handover.calls", "follow"),
    ["POST /v1/open"] = call("handover.calls", "open"),
    ["POST /v1/count"] = call("handover.calls", "count"),
    ["GET /version"] = call("control.overview", "version"),
    ["GET /v1/state"] = call("control.overview", "state"),
    ["POST /v1/flip"] = call("control.flip", "flip"),
    ["POST /v1/probe"] = call("control.probe", "probe"),
    ["POST /v1/drain"] = call("control.drain", "drain"),
    ["POST /v1/lease"] = function(body)
        return require("control.lease").take(body, require("control.canary").end_left)
    end,
    ["POST /v1/lease/heartbeat"] = call("control.lease", "heartbeat"),
    ["GET /v1/canary"] = call("control.canary", "read"),
    ["POST /v1/canary"] = call("control.canary", "order"),
    ["POST /v1/history"] = call("control.history", "append"),
    ["GET /v1/history"] = call("control.history", "read"),
    ["POST /v1/release"] = call("control.releases", "store"),
    ["GET /v1/releases"] = call("control.releases", "read"),
    ["POST /v1/releases/forget"] = call("control.releases", "forget"),
    ["POST /v1/certificates"] = call("control.certificates", "change"),
    ["POST /v1/certificates/renewal"] = call("control.certificates", "renewal"),
    ["GET /v1/certificates"] = call("control.certificates", "read"),
    ["GET /v1/metrics"] = call("metrics.exposition", "serve"),
}

-- These are about the proxy that is asked. Everything else is for the one that serves.
local OWN = { ["/v1/instance"] = true, ["/v1/serve"] = true, ["/v1/follow"] = true, ["/v1/open"] = true }

local FREEZE_LOOK_S, MOST_FROZEN_S = 0.005, 25

-- Whether the call is answered here. While a hand-over is made it waits for what comes of it.
local function is_own()
    if OWN[ngx.var.uri] or instance.is_serving() then
        return true
    end
    local deadline = ngx.now() + MOST_FROZEN_S
    while instance.phase() == "frozen" and ngx.now() < deadline do
        ngx.sleep(FREEZE_LOOK_S)
    end
    -- The one that is to serve has not begun yet: it says so itself, else this would go round and round.
    return instance.is_serving() or instance.appointed() == instance.number
end

local function answer()
    if not OWN[ngx.var.uri] and not instance.is_serving() then
        problem.refuse(503, "busy", "this proxy is " .. instance.phase())
    end
    local method, path = ngx.req.get_method(), ngx.var.uri
    local work = CALLS[method .. " " .. path]
    if not work then
        problem.refuse(404, "unknown_call", ("`%s %s` is not a call of API 1"):format(method, path), { api = 1 })
    end
    local text
    if method == "POST" then
        text = work(read_body())
    else
        text = work(ngx.req.get_uri_args(0))
    end
    if text then
        respond(200, text)
    end
end

function _M.run()
    if not is_own() then
        return ngx.exec("@serving")
    end
    local ok, refusal = pcall(answer)
    if ok then
        return
    end
    if type(refusal) ~= "table" or not refusal.code then
        ngx.log(ngx.ERR, "control: ", refusal)
        refusal = { status = 500, code = "internal", message = "the proxy failed, its log says why", details = {} }
    end
    if ngx.headers_sent then
        return ngx.exit(ngx.ERROR)
    end
    respond_error(refusal)
end

function _M.too_large()
    respond_error({ status = 413, code = "too_large", details = { limit = LONGEST_BODY },
        message = ("the body is larger than %d bytes"):format(LONGEST_BODY) })
end

return _M
