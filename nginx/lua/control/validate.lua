-- Checks what a flip brings. An app's record is checked field by field (state/schema.lua): what is returned is canonical, what
-- is refused names the field. An unknown field is refused too: a newer CLI must learn that this proxy would not do what the
-- field asks for.
local schema = require "state.schema"

local _M = {}

-- Returns the canonical record, or nil and { field, message }.
function _M.record(value)
    local ok, result = pcall(schema.RECORD.check, value, "")
    if ok then
        return result
    end
    return nil, type(result) == "table" and result or error(result, 0)
end

-- The host of a certificate as routes have it; nil and what is wrong with it.
function _M.host_name(value)
    local ok, result = pcall(schema.HOST.check, value, "host")
    if not ok and type(result) ~= "table" then
        error(result, 0)
    end
    if ok and not result:find("[%[:]") then
        return result
    end
    return nil, not ok and result.message or "is not a host name, optionally with `*.` before it, without a port"
end

-- Is this the key of an app, "<project>/<app>"?
function _M.is_app_key(key)
    if type(key) ~= "string" then
        return false
    end
    local project, app = key:match("^([^/]+)/([^/]+)$")
    return project ~= nil and #project <= 100 and #app <= 100
        and project:find(schema.NAME) ~= nil and app:find(schema.NAME) ~= nil
end

return _M
