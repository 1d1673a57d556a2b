-- `POST /v1/certificates` stores or removes the certificate of a host, `GET` tells what there is. A key comes in here and
-- never leaves. `POST /v1/certificates/renewal` says how a renewal has failed; a certificate that is stored ends that.
local refuse = require("control.problem").refuse
local index = require "state.index"
local instance = require "handover.instance"
local json = require "json"
local list = require "tls.table"
local lock = require "state.lock"
local store = require "tls.store"
local validate = require "control.validate"
local x509 = require "tls.x509"

local _M = {}

-- A chain, a key, what is told of them, and some for how the memory is cut.
local RESERVE_BYTES = 256 * 1024
local SOURCE = "^[a-z][a-z0-9-]*$"

local function refuse_field(host, field, message)
    refuse(422, "invalid_certificate", ("`%s` of the certificate of `%s` %s"):format(field, tostring(host), message),
        { host = type(host) == "string" and host or json.null, field = field })
end

local function given(value)
    return value ~= nil and value ~= json.null
end

local function check(body)
    local host, why = validate.host_name(body.host)
    if not host then
        refuse_field(body.host, "host", why)
    end
    if not validate.is_app_key(type(body.project) == "string" and body.project .. "/app") then
        refuse_field(host, "project", "is not the name of a project")
    end
    if given(body.expect) and type(body.expect) ~= "string" then
        refuse_field(host, "expect", "is neither an id nor null")
    end
    if given(body.replaces) and not validate.is_app_key(body.replaces) then
        refuse_field(host, "replaces", "is not `<project>/<app>`")
    end
    local entry = { host = host, project = body.project, expect = given(body.expect) and body.expect or nil,
        replaces = given(body.replaces) and body.replaces or nil }
    if not given(body.chain) and not given(body.key) then
        return entry
    end
    if type(body.source) ~= "string" or #body.source > 20 or not body.source:find(SOURCE) then
        refuse_field(host, "source", "is not a short word")
    end
    local pair, field, problem = x509.parse(body.chain, body.key)
    local facts
    if pair then
        facts, field, problem = x509.facts(pair, host, ngx.time())
    end
    if not facts then
        refuse_field(host, field, problem)
    end
    entry.chain, entry.key, entry.source, entry.stored_at = body.chain, body.key, body.source, math.floor(ngx.now() * 1000)
    return entry, facts
end

local function compare(entry, facts)
    local found = list.id(entry.host)
    -- What is there already is what was asked for, as after an acknowledgement that was lost.
    if found == (facts and facts.id) then
        return true
    end
    if found ~= entry.expect then
        refuse(409, "certificate_moved",
            ("the certificate of `%s` is %s, not %s"):format(entry.host, found or "none", entry.expect or "none"),
            { host = entry.host, expected = entry.expect or json.null, found = found or json.null })
    end
    return false
end

-- A host's certificate belongs to the project that has its routes.
local function check_owner(entry)
    local other = index.of_another_project(entry.host, entry.project, entry.replaces)
    if other then
        refuse(409, "host_taken", ("`%s` belongs to `%s` already"):format(entry.host, other),
            { host = entry.host, other_app = other })
    end
end

local function change(entry, facts)
    if not instance.is_serving() then
        refuse(503, "busy", "the proxy is being handed over, nothing was changed")
    end
    check_owner(entry)
    if compare(entry, facts) then
        return true
    end
    if facts and ngx.shared.certificates:free_space() < RESERVE_BYTES then
        refuse(507, "persist_failed", "the proxy's table of certificates is full, nothing was changed")
    end
    local ok, problem
    entry.expect, entry.replaces = nil, nil
    if facts then
        ok, problem = store.put(entry, facts)
    else
        ok, problem = store.remove(entry.host)
    end
    if not ok then
        refuse(507, "persist_failed", problem .. ", nothing was changed")
    end
    return true
end

function _M.change(body)
    local entry, facts = check(body)
    local ok, problem = lock.with("certificates", function() return change(entry, facts) end)
    if not ok then
        refuse(503, problem, "another change of a certificate did not end in time, nothing was changed")
    end
    return ('{"id":%s}'):format(json.optional(facts and facts.id))
end

local LONGEST_ERROR = 1000

local function moment(host, body, field)
    local value = body[field]
    if type(value) ~= "number" or value < 0 or value ~= math.floor(value) then
        refuse_field(host, field, "is not a whole number")
    end
    return value
end

-- `error` is null where the last one has not failed. Kept in memory only: whoever renews tells it again and again.
function _M.renewal(body)
    local host, why = validate.host_name(body.host)
    if not host then
        refuse_field(body.host, "host", why)
    end
    local text
    if given(body.error) then
        if type(body.error) ~= "string" or #body.error > LONGEST_ERROR then
            refuse_field(host, "error", ("is not a text of at most %d bytes"):format(LONGEST_ERROR))
        end
        text = ('{"failures":%d,"at":%.0f,"next_at":%.0f,"error":%s}'):format(moment(host, body, "failures"),
            moment(host, body, "at"), moment(host, body, "next_at"), json.encode(json.printable(body.error)))
    end
    local ok, problem = list.set_renewal(host, text)
    if not ok then
        refuse(507, "persist_failed", problem)
    end
    return "{}"
end

function _M.read()
    return ('{"certificates":%s}'):format(json.list(list.texts()))
end

return _M
