-- Maintenance: the proxy answers an app's requests itself, until somebody switches that off. It is no part of a release, so it
-- stays on through deploys and rollbacks.
local ranges = require "ranges"

local _M = {}

local USUAL_PAGE = { "Under maintenance", "The application is under maintenance. Please try again later." }

-- Of a decoded record; nil when there is none.
function _M.of(record)
    local asked = record.maintenance
    if not asked then
        return nil
    end
    return {
        allow = #asked.allow > 0 and ranges.list(asked.allow) or nil,
        wait_s = asked.retry_after_s,
        page = asked.page or USUAL_PAGE,
    }
end

-- Whether it is for this client; some may be let through to look at the app.
function _M.is_for(maintenance, client)
    local address = maintenance.allow and ranges.parse(client)
    return not (address and maintenance.allow.covers(address))
end

return _M
