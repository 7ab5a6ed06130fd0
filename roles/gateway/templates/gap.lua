-- Rendered by rackwright: what becomes of a request while its model has a planned gap and none of its servers is usable.
-- Arguments: the map of gaps (model → their expected ends, Unix seconds), seconds after which one is heeded no more, the
-- map that tells a worker that it was replaced.
local file, forgotten, successors = ...
local gaps, replaced = Map.new(file, Map._str), Map.new(successors, Map._str)

local function milliseconds()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

-- Seconds until the model's gap should end, at least 1. nil: it has none.
local function remaining(model)
    local ends = tonumber(gaps:lookup(model) or "")
    local left = ends and ends - core.now().sec
    return left and left > -forgotten and math.max(1, left) or nil
end

-- Wait so many seconds at most for a server, or the gap's end. Afterwards txn.held has the milliseconds waited, and
-- txn.retry_after, where no server is usable yet, the seconds until one should be. In a worker that was replaced
-- meanwhile txn.passed is set: it checks no server any more, and the next one waits in its place.
core.register_action("gap", { "http-req" }, function(txn, longest)
    local model, began, held = txn:get_var("txn.model"), milliseconds(), 0
    local servers, left = core.backends["model." .. model], remaining(model)
    if not left then return end
    while left and held < longest * 1000 and servers:get_srv_act() == 0 do
        core.msleep(100)
        if replaced:lookup("replaced") then return txn:set_var("txn.passed", "yes") end
        left, held = remaining(model), milliseconds() - began
    end
    txn:set_var("txn.held", held)
    if left and servers:get_srv_act() == 0 then txn:set_var("txn.retry_after", left) end
end, 1)
