-- How a call of the control API is refused.
local _M = {}

-- Ends a call with an error from anywhere inside it. `details` are further fields.
function _M.refuse(status, code, message, details)
    error({ status = status, code = code, message = message, details = details or {} }, 0)
end

return _M
