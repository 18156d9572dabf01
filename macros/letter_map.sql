{# written by scripts/letter_map.py from Unicode; do not edit by hand #}
{% macro letter_map() %}
{{ return({
    'letters': 'ðøđħıĸŀłŧſƀƃƈƌƒƙƚƞƥƫƭƴƶǝǥǿȡȥȴȵȶȷȼȿɀɇɉɋɍɏɐɑɓɔɕɖɗɘəɛɟɠɡɣɥɦɨɩɪɫɬɭɮɯɰɱɲɳɵɹɺɻɼɽɾɿʂʄʇʈʊʋʌʍʎʐʑʝʞʠʮʯʰʷʸˢγλχẚẛẜẝỿⱡⱥⱦⱨⱪⱬⱱⱳⱴⱶⱸⱹⱺⱼⱽꜿꝁꝃꝅꝇꝉꝋꝍꝑꝓꝕꝗꝙꝟꝣꝺꝼꞁꞃꞅꞇꞎꞑꞓꞔꞕꞗꞙꞡꞣꞥꞧꞩꞹꞻꞽꞿꟃꟈꟊ',
    'letters_ascii': 'dodhiqlltsbbcdfklnpttyzegodzlntjcszejqryaabocddeeejggghhiiillllmmmnnorrrrrrrsjttuvuwyzzjkqhhhwysglxasssylathkzvwvherojvckkklloopppqqvzdflrstlncchbfgknrsuaiuwds',
    'marked': 'àáâãäåçèéêëìíîïñòóôõöùúûüýÿāăąćĉċčďēĕėęěĝğġģĥĩīĭįĵķĺļľńņňōŏőŕŗřśŝşšţťũūŭůűųŵŷźżžơưǎǐǒǔǖǘǚǜǟǡǧǩǫǭǰǵǹǻȁȃȅȇȉȋȍȏȑȓȕȗșțȟȧȩȫȭȯȱȳḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁẃẅẇẉẋẍẏẑẓẕẖẗẘẙạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ',
    'marked_ascii': 'aaaaaaceeeeiiiinooooouuuuyyaaaccccdeeeeegggghiiiijklllnnnooorrrssssttuuuuuuwyzzzouaiouuuuuaagkoojgnaaaeeiioorruusthaeooooyabbbcdddddeeeeefghhhhhiikkkllllmmmnnnnoooopprrrrsssssttttuuuuuvvwwwwwxxyzzzhtwyaaaaaaaaaaaaeeeeeeeeiioooooooooooouuuuuuuyyyy',
    'several': [['ß', 'ss'], ['æ', 'ae'], ['þ', 'th'], ['ĳ', 'ij'], ['ŋ', 'ng'], ['œ', 'oe'], ['ƛ', 'tl'], ['ǆ', 'dz'], ['ǉ', 'lj'], ['ǌ', 'nj'], ['ǣ', 'ae'], ['ǳ', 'dz'], ['ǽ', 'ae'], ['θ', 'th'], ['\ua7dc', 'tl']],
}) }}
{% endmacro %}
