-- Rendered by rackwright: what one key could learn of another key's prompts. llama-server reuses what it computed for the
-- beginning of an earlier prompt, whichever key sent it, and says in these objects how much that was, and how long the rest took.
local BRACE = string.byte("}")
local FIGURES = { prompt_tokens_details = true, timings = true, prompt_progress = true }

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
function without_figures(before, part, open)
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

-- What of a part a figure's name may begin in, if the next part has the rest of it.
function end_of(before, part) return (before .. part):sub(-LONGEST) end
