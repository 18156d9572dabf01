(function () {
  "use strict";
  var AT_ONCE = 100; // rows put down at a time
  var field = document.getElementById("search"), told = document.getElementById("matches");
  var beyond = document.getElementById("beyond"), packed = document.getElementById("rows");
  var shown = Array.prototype.slice.call(document.querySelectorAll("[data-search]"));
  var many = Number(packed.getAttribute("data-count"));

  function unpack() {
    var bytes = Uint8Array.from(atob(packed.textContent.trim()), function (one) { return one.charCodeAt(0); });
    var stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json().then(function (said) {
      return said.part.map(function (_, at) {
        var of = function (column) { return said.texts[said[column][at]]; };
        var row = { part: of("part"), partition: of("partition"), key: of("key"), who: of("who"), head: of("head"), text: of("text") };
        row.all = Object.values(row).join("\n").toLowerCase();
        return row;
      });
    });
  }
  var rows = null;
  function loaded() { // once, when first asked for
    rows = rows || unpack();
    return rows;
  }

  function element(name, text, kind) {
    var made = document.createElement(name);
    if (text) { made.textContent = text; }
    if (kind) { made.className = kind; }
    return made;
  }
  function line(row) {
    var made = element("li");
    made.append(element("b", row.part === "findings" ? row.head : row.part + ": " + row.head), " ", row.text);
    var about = [row.key && "key " + row.key, row.who, row.partition].filter(Boolean).join(" · ");
    made.append(" ", element("span", about, "small soft"));
    return made;
  }
  function put(into, some) { // the first hundred, and a button for the next
    var list = element("ul"), more = element("button", "", "open"), next = 0;
    more.type = "button";
    function go() {
      var from = next;
      some.slice(next, next += AT_ONCE).forEach(function (row) { list.append(line(row)); });
      more.hidden = next >= some.length;
      more.textContent = "show more, " + (some.length - next) + " are left";
      if (from && list.children[from]) { list.children[from].tabIndex = -1; list.children[from].focus(); }
    }
    more.addEventListener("click", go);
    into.replaceChildren(list, more);
    go();
  }

  document.querySelectorAll("button[data-part], button[data-partition]").forEach(function (button) {
    button.disabled = false;
    button.addEventListener("click", function () {
      var row = button.closest("tr"), opened = row.nextElementSibling;
      if (opened && opened.className === "opened") {
        opened.remove();
        button.setAttribute("aria-expanded", "false");
        return;
      }
      var part = button.getAttribute("data-part"), partition = button.getAttribute("data-partition");
      var cell = element("td", "opening …");
      opened = element("tr", "", "opened");
      cell.colSpan = row.cells.length;
      opened.append(cell);
      row.after(opened);
      button.setAttribute("aria-expanded", "true");
      loaded().then(function (all) {
        var some = all.filter(function (one) {
          return one.part !== "findings" && (part === null ? one.partition === partition : one.part === part);
        });
        if (some.length) { put(cell, some); } else { cell.textContent = "nothing of it changed"; }
      }).catch(function () { cell.textContent = "this browser cannot open them; make show lists them"; });
    });
  });

  var asked = 0;
  function search() {
    var wanted = field.value.trim().toLowerCase(), mine = ++asked, here = 0;
    shown.forEach(function (row) {
      var hit = !wanted || row.textContent.toLowerCase().indexOf(wanted) >= 0;
      row.hidden = !hit;
      var opened = row.nextElementSibling;
      if (opened && opened.className === "opened") { opened.hidden = !hit; }
      if (hit && wanted) { here += 1; var fold = row.closest("details"); if (fold) { fold.open = true; } }
    });
    beyond.replaceChildren();
    if (!wanted) { told.textContent = ""; return; }
    function say(many) {
      told.textContent = here + (here === 1 ? " row" : " rows") + " of this page" +
        (many === null ? "" : " and " + many + (many === 1 ? " row" : " rows") + " of the night") + " with “" + field.value.trim() + "”";
    }
    say(null);
    loaded().then(function (all) {
      if (mine !== asked) { return; }
      var some = all.filter(function (row) { return row.all.indexOf(wanted) >= 0; });
      say(some.length);
      if (some.length) { put(beyond, some); }
    }).catch(function () { told.textContent += "; this browser cannot search the rest of the night"; });
  }
  var soon = 0;
  field.addEventListener("input", function () { clearTimeout(soon); soon = setTimeout(search, many > 20000 ? 300 : 0); });
  window.addEventListener("beforeprint", function () { document.querySelectorAll("details").forEach(function (fold) { fold.open = true; }); });
})();
