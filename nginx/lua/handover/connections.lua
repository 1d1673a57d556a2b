-- The connections of this worker's clients: whether new ones are taken, and how many are open (module/handover.c).
local ffi = require "ffi"

ffi.cdef [[
int deploy_apps_accept(int on);
int deploy_apps_clients(void);
void deploy_apps_close_idle(void);
void deploy_apps_close_after_answers(int on);
]]

local C = ffi.C

local _M = {}

function _M.accept(is_on)
    if C.deploy_apps_accept(is_on and 1 or 0) == 0 then
        ngx.log(ngx.ALERT, "handover: the listeners cannot be ", is_on and "watched" or "left")
    end
end

function _M.count()
    return C.deploy_apps_clients()
end

function _M.close_idle()
    C.deploy_apps_close_idle()
end

-- Whether each answer says `Connection: close`.
function _M.close_after_answers(is_on)
    C.deploy_apps_close_after_answers(is_on and 1 or 0)
end

return _M
