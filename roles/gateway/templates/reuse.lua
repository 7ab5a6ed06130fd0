-- Rendered by rackwright: what one key could learn of another key's prompts. llama-server reuses what it computed for the
-- beginning of an earlier prompt, whichever key sent it, and says in these objects how much that was, and how long the rest took.
local BRACE = string.byte("}")
local FIGURES = { prompt_tokens_details = true, input_tokens_details = true, timings = true, prompt_progress = true }

-- Anthropic's form of it has two numbers in one object, which together are the tokens of the prompt.
local READ = '"cache_read_input_tokens"'
local BOTH = "(" .. READ .. '%s*:%s*(%d+)%s*,%s*"input_tokens"%s*:%s*(%d+))([,}%s])'
local MOST_DIGITS = 10

-- What an object's name, its colon and its brace take at most, in bytes.
local LONGEST = 64

-- Most parts have none, and this is faster than a pattern.
local function may_have_figures(text)
    for name in pairs(FIGURES) do
        if text:find(name, 1, true) then return true end
    end
    return false
end

-- Return the position after the first brace that opens an object of figures, if there is one from `least` on. Its name may
-- begin earlier, at `at`. What a model says can't look like one: a quote within a string is written \".
local function opened(text, at, least)
    local brace, name, _ = at - 1, nil, nil
    repeat
        _, brace, name = text:find('"([%l_]+)"%s*:%s*{', brace + 1)
    until not brace or brace >= least and FIGURES[name]
    return brace and brace + 1
end

-- Return where the objects that are open at this position end, and how many of them don't.
local function closed(text, at, open)
    while open > 0 do
        at = text:find("[{}]", at)
        if not at then return #text + 1, open end
        open = open + (text:byte(at) == BRACE and -1 or 1)
        at = at + 1
    end
    return at - 1, 0
end

-- Return this part of an answer with empty objects of figures, and how many of them are open at its end. `before` is the
-- end of what came before it, and `open` how many were open there.
local function without_objects(before, part, open)
    local text, kept, at, from = before .. part, {}, 1, #before + 1
    if open == 0 and not may_have_figures(text) then return part, 0 end
    repeat
        if open > 0 then from, open = closed(text, from, open) end
        local inside = opened(text, at, from)
        kept[#kept + 1] = text:sub(from, (inside or 0) - 1)
        if inside then at, from, open = inside, inside, 1 end
    until not inside
    return table.concat(kept), open
end

local function padded(text, like) return text .. (" "):rep(#like - #text) end

local function sum(both, read, rest, next)
    local known = #read <= MOST_DIGITS and #rest <= MOST_DIGITS
    return padded(string.format('"input_tokens":%d', known and read + rest or 0), both) .. next
end

local function zeros(text)
    return (text:gsub("%d+", function(number) return padded("0", number) end))
end

-- Return this part of an answer with one number of input tokens in place of both, and whether it ends within them. If they are
-- in two parts, both are 0; `cut` is whether the part before ended within them. The length stays, by spaces.
local function without_reads(before, part, cut)
    if not cut then cut = (before:sub(-#READ + 1) .. part:sub(1, #READ - 1)):find(READ, 1, true) end
    if not cut and not part:find(READ, 1, true) then return part, false end
    local head, rest = "", part
    if cut then
        local ending = part:find("}", 1, true) or #part
        head = part:sub(1, ending)
        -- The number that the part before ended with is 0 already.
        if before:find("%d$") then head = head:gsub("^%d+", function(number) return padded("", number) end) end
        head = zeros(head)
        rest = part:sub(ending + 1)
        if part:byte(ending) ~= BRACE then return head, true end
    end
    rest = rest:gsub(BOTH, sum)
    local left = rest:find(READ, 1, true)
    if not left then return head .. rest, false end
    local ending = rest:find("}", left, true)
    local numbers = zeros(rest:sub(left, ending or -1))
    return head .. rest:sub(1, left - 1) .. numbers .. (ending and rest:sub(ending + 1) or ""), not ending
end

-- Return what to remember of an answer between its parts.
function new_figures() return { before = "", open = 0, cut = false } end

-- Return the next part of an answer without these figures. It is never longer.
function without_figures(state, part)
    local rest, open = without_objects(state.before, part, state.open)
    rest, state.cut = without_reads(state.before, rest, state.cut)
    state.before, state.open = (state.before .. part):sub(-LONGEST), open
    return rest
end
