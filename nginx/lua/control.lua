-- The control API: finds the call, reads its body, and writes its answer or error. Contract: README.md.
local json = require "json"

local _M = {}

local LONGEST_BODY = 64 * 1024 * 1024

-- Ends a call with an error from anywhere inside it. `details` are further fields.
function _M.refuse(status, code, message, details)
    error({ status = status, code = code, message = message, details = details or {} }, 0)
end

function _M.respond(status, text)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Content-Length"] = #text + 1
    ngx.print(text, "\n")
end

local function respond_error(problem)
    local fields = { code = problem.code, message = problem.message }
    for name, value in pairs(problem.details) do
        fields[name] = value
    end
    _M.respond(problem.status, '{"error":' .. json.encode(fields) .. "}")
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
    local body, problem = json.decode(text)
    if type(body) ~= "table" or text:find("^%s*%[") then
        _M.refuse(400, "bad_json", "the body is not a JSON object" .. (problem and ": " .. problem or ""))
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
    ["GET /version"] = call("state", "version"),
    ["GET /v1/state"] = call("state", "state"),
    ["POST /v1/flip"] = call("flip", "flip"),
    ["POST /v1/probe"] = call("probe", "probe"),
    ["POST /v1/drain"] = call("drain", "drain"),
    ["POST /v1/lease"] = call("lease", "take"),
    ["POST /v1/lease/heartbeat"] = call("lease", "heartbeat"),
    ["POST /v1/history"] = call("history", "append"),
    ["GET /v1/history"] = call("history", "read"),
    ["POST /v1/release"] = call("releases", "store"),
    ["GET /v1/releases"] = call("releases", "read"),
    ["POST /v1/releases/forget"] = call("releases", "forget"),
    ["GET /v1/metrics"] = call("exposition", "serve"),
}

local function answer()
    local method, path = ngx.req.get_method(), ngx.var.uri
    local work = CALLS[method .. " " .. path]
    if not work then
        _M.refuse(404, "unknown_call", ("`%s %s` is not a call of API 1"):format(method, path), { api = 1 })
    end
    local text
    if method == "POST" then
        text = work(read_body())
    else
        text = work(ngx.req.get_uri_args(0))
    end
    if text then
        _M.respond(200, text)
    end
end

function _M.run()
    local ok, problem = pcall(answer)
    if ok then
        return
    end
    if type(problem) ~= "table" or not problem.code then
        ngx.log(ngx.ERR, "control: ", problem)
        problem = { status = 500, code = "internal", message = "the proxy failed, its log says why", details = {} }
    end
    if ngx.headers_sent then
        return ngx.exit(ngx.ERROR)
    end
    respond_error(problem)
end

function _M.too_large()
    respond_error({ status = 413, code = "too_large", details = { limit = LONGEST_BODY },
        message = ("the body is larger than %d bytes"):format(LONGEST_BODY) })
end

return _M
