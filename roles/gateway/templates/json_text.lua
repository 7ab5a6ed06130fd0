-- Rendered by rackwright: reading JSON as text, for the other scripts.
local find, byte = string.find, string.byte
local BACKSLASH = byte("\\")

-- Return where the string ends that begins at `start`, or nil.
function closing_quote(body, start)
    local quote = find(body, '"', start, true)
    while quote do
        local escapes = quote
        while byte(body, escapes - 1) == BACKSLASH and escapes > start do escapes = escapes - 1 end
        if (quote - escapes) % 2 == 0 then return quote end
        quote = find(body, '"', quote + 1, true)
    end
end
