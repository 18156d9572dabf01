{#- What no name holds, in words, or null: an entity of HTML, UTF-8 read as Windows-1252 or Latin-1 (once or twice), a sign for
    letters that were lost, a digit, an address. The 7 of Squamish and St'at'imcets is a letter.

    A letter of UTF-8 that was read so is a capital of C2 to F4 and signs of 80 to BF. Some such pairs stand in names that are
    written in capitals (KŘÍŽ, DRÉ’VON): those are damage only beside a small letter. -#}
{% macro name_damage(text) -%}
    {%- set follows = '\\x{0080}-\\x{00BF}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ' -%}
    {%- set never = '\\x{0080}-\\x{009F}\\x{00A1}-\\x{00B3}\\x{00B5}-\\x{00BF}€‚ƒ„…†‡ˆ‰‹Œ“”•˜™›œŸ' -%}
    {%- set seldom = '\\x{00A0}´ŠšŽž‘’–—' -%}
    {%- set mojibake = [
        '[ÂÃÅ][' ~ follows ~ ']',
        'Ä[' ~ never ~ 'ŠšŽž]',
        '[\\x{00C6}-\\x{00DF}][' ~ never ~ ']',
        '\\p{Ll}[\\x{00C4}\\x{00C6}-\\x{00DF}][' ~ seldom ~ ']',
        '[\\x{00C4}\\x{00C6}-\\x{00DF}][' ~ seldom ~ ']\\p{Ll}',
        '[\\x{00E0}-\\x{00EF}][' ~ follows ~ ']{2}',
        '[\\x{00F0}-\\x{00F4}][' ~ follows ~ ']{3}',
        'â€|á[º»]|ï[¿»]',
        '[âã][\\x{00A1}-\\x{00BF}]',
        '\\p{Ll}[ÂÃÄÅ](\\p{Ll}|\\s|$)',
        '(^|[\\s-])Ã\\s?\\p{Ll}',
        '[ÂÄÅ][\\s\\x{00A0}]\\p{Ll}',
    ] | join('|') -%}
    {%- set digits = regex_replace(text, '(^|[\\s-]|\\p{L}|\\p{M}|[\\x27’ʼ])7(\\p{L})', '\\1\\2') -%}
    case
        when {{ regexp_like(text, '&#|&[A-Za-z][A-Za-z0-9]*;|%[0-9A-Fa-f]{2}|\\\\|\\p{L}\\x27\\x27\\p{L}') }} then 'an escape'
        when {{ regexp_like(text, mojibake) }} then 'letters read in another encoding'
        when {{ regexp_like(text, '[\\p{Cc}\\x{2028}\\x{2029}]') }} then 'a control character'
        when {{ regexp_like(text, '\\x{FFFD}|[?¿]|\\p{Co}') }} then 'a sign for a letter that was lost'
        when {{ regexp_like(text, '@|://|www\\.') }} then 'an address'
        when {{ regexp_like(digits, '\\p{N}') }} then 'a digit'
        when {{ regexp_like(text, '[\\p{Sm}\\p{Sc}\\p{So}#…†‡‰¶§]') }} then 'a sign no name has'
    end
{%- endmacro %}
