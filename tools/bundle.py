"""Merge modules of firmware/ that always stay loaded, before they are compiled for a board: each module costs heap there beside
its code (the object, the table of its globals, its imports, its name and its path).

A bundle is one of the modules of the table below: it takes the place of its members, which are not there by themselves any more.
What one member imports from another is simply a name of the bundle; every import elsewhere is led to the bundle. A name that only
the bundle knows becomes a short one, a name that two members use for different things, or that the import of a submodule would
overwrite, another one. Names are followed by their scope; attributes keep theirs.

Modules that are loaded and dropped by their name (firmware/lazy.py) cannot be members: the build refuses.
"""

import ast
from collections import defaultdict

from tools.by_name import Refused, check_strings, redirect
from tools.flat import flat
from tools.minify import _shorts
from tools.scopes import Scopes
from tools.syntax import walk

# bundle: members, in the order in which they are run; names without "firmware."
BUNDLES = {
    "app": "lazy live bus system.log system.tasks system.ota config.config http.door mqtt.mqtt board.base board app",
    "bms": "bms.crc bms.errors bms.frames bms.decode bms.registers bms.plausible bms.events bms.link bms.poller bms.bms",
    "can": "can.frames can.alarms can.schedule can.can can.sensors can.currents can.phase can.charge",
    "can.slcan": "can.slcan_line can.slcan",
    "board.esp32": "board.esp32 can.twai_queue can.twai_regs can.twai_recovery can.twai",
    "net.wifi": "net.clock net.wifi",
    "http": "http.api http.connection http.request http.auth http.web http.server",
    "alerts": "alerts.rules alerts.alerts",
    "system.bundle": "system.archive system.manifest system.bundle",
    "history.history": "history.summary history.archive history.ring history.since history.history",
}
# Modules loaded by name, small and used at the same moment: they share a file, because each file takes a block of flash, twice.
# Loading one of them loads all: nothing that stays loaded belongs here. The first names the file.
JOINED = (
    "board.rare board.pins",
    "bms.order bms.why",
    "bms.commands bms.requests",  # the one imports the other
    "system.queues system.bus_metrics",
    "can.identity can.alarm_rows",  # when CAN starts
    "can.twai_chips can.twai_setup",
    "alerts.store alerts.alert",  # the one imports the other
    "alerts.texts alerts.seen",
    "history.counters history.days",
    "history.early history.store",  # the one imports the other
    "system.health system.slots",
    "history.report history.thin",
    "http.listen http.reset http.query",
    "http.body http.json_stream",
    "net.captive_dns net.portal",
    "mqtt.limits mqtt.endpoint",
    "mqtt.session mqtt.outgoing",  # the one imports the other
)
OPEN = ("app", "board")  # members whose names programs outside know: main.py, those that measure
_IMPORTS = ast.Import | ast.ImportFrom
_COMPILER = ("const", "micropython")  # mpy-cross knows them by these names


def _constants(tree):
    """The private `_NAME = const(...)` of a module: mpy-cross puts them in and forgets the name."""
    return {
        node.targets[0].id for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.startswith("_")
        and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "const"
    }  # fmt: skip


class Bundler:
    """`sources` {dotted name: source}, `bundles` {bundle: [members]}; `result()` gives the sources with the bundles in them."""

    def __init__(self, sources, bundles, joined=(), opened=()):
        """`joined`: members that are loaded by name, which `sources` do by the name of the bundle already. `opened`: see OPEN."""
        self.sources, self.bundles, self.joined, self.opened = sources, bundles, joined, opened
        self.trees = {name: ast.parse(source) for name, source in sources.items()}
        self.home = {member: bundle for bundle, members in bundles.items() for member in members}
        for bundle, members in bundles.items():
            missing = [name for name in members if name not in sources]
            if missing:
                raise Refused(f"{bundle}: there is no {', '.join(missing)}")
            if bundle not in members and sources.get(bundle, "").strip():
                raise Refused(f"{bundle} has code of its own and is no member")
        self.scopes = {name: Scopes(tree) for name, tree in self.trees.items()}
        self.wanted = defaultdict(set)  # member: names that modules outside its bundle ask for
        self.new = defaultdict(dict)  # member: {name: its name in the bundle}
        self.taken = {}  # bundle: names that mean something in it

    def result(self):
        """{dotted name: source} without the members."""
        for name, tree in self.trees.items():
            check_strings(name, tree, self.home.keys() - {self.home[member] for member in self.joined})
        for member in (*self.joined, *self.opened):  # what is asked for by attribute
            names = self.scopes[member].bound - _imported(self.trees[member]) - _constants(self.trees[member])
            self.wanted[member] |= {name for name in names if not name.startswith("_")}
        links = [(name, link) for name, tree in self.trees.items() for link in self._links(name, tree)]
        for bundle, members in self.bundles.items():
            self._name(bundle, members)
        for member in (*self.joined, *self.opened):
            met = [name for name in self.wanted[member] if self.new[member][name] != name]
            if met:
                raise Refused(f"{member}: {', '.join(met)} means something else in {self.home[member]}")
        for _, link in links:
            link()
        done = {name: source for name, source in self.sources.items() if name not in self.home}
        done.update((name, ast.unparse(self.trees[name])) for name, _ in links if name in done)
        done.update((bundle, self._merge(bundle, members)) for bundle, members in self.bundles.items())
        return done

    # -- imports of a bundle from outside ------------------------------------------------------------------------------

    def _links(self, name, tree):
        """Functions that lead the imports of module `name` to other bundles; notes what they ask for."""
        for node in walk(tree):
            if isinstance(node, ast.Import) and any(alias.name in self.home for alias in node.names):
                raise Refused(f"{name}: a module of a bundle needs `from ... import`")
            if not isinstance(node, ast.ImportFrom):
                continue
            for alias in node.names:
                member = self._member(node, alias)
                if member is None or self.home[member] == self.home.get(name):
                    continue
                if member == node.module:
                    self._ask(name, member, alias.name)
                    yield lambda node=node, alias=alias, member=member: self._link_name(node, alias, member)
                elif len(node.names) > 1:
                    raise Refused(f"{name}: {member} is imported together with others")
                else:
                    yield self._link_module(name, tree, node, alias, member)

    def _member(self, node, alias):
        """The member of a bundle that an import speaks of, or None."""
        inner = f"{node.module}.{alias.name}"
        return node.module if node.module in self.home else inner if inner in self.home else None

    def _ask(self, name, member, wanted):
        tree = self.trees[member]
        if wanted not in self.scopes[member].bound - _imported(tree) - _constants(tree):
            raise Refused(f"{name}: {member} has no {wanted}")
        self.wanted[member].add(wanted)

    def _link_name(self, node, alias, member):
        alias.asname = alias.asname or alias.name
        alias.name = self.new[member][alias.name]
        node.module = self.home[member]

    def _link_module(self, name, tree, node, alias, member):
        local = alias.asname or alias.name
        if node in tree.body:
            uses = [place for place, _ in self.scopes[name].uses[local] if place is not alias]
        else:
            uses = [part for part in walk(tree) if local in (getattr(part, "id", None), getattr(part, "arg", None))]
        attributes = [self.scopes[name].attributes.get(place) for place in uses]
        if None in attributes:
            raise Refused(f"{name}: {local} is used as more than the module {member}")
        for part in attributes:
            self._ask(name, member, part.attr)

        def link():
            for part in attributes:
                part.attr = self.new[member][part.attr]
            package, _, leaf = self.home[member].rpartition(".")
            alias.name, alias.asname = leaf, local
            if package:
                node.module = package
            else:
                node.__class__ = ast.Import

        return link

    # -- names and text of a bundle ------------------------------------------------------------------------------------

    def _name(self, bundle, members):
        """Choose the names that the globals of the members have in the bundle."""
        taken = {part[len(bundle) + 1 :].split(".")[0] for part in self.trees if part.startswith(bundle + ".")}
        for member in members:
            scopes = self.scopes[member]
            taken |= {name for name in scopes.uses if name not in scopes.bound}  # builtins
        local = {member: self.scopes[member].locals for member in members}
        for i, member in enumerate(members):
            new, tree = self.new[member], self.trees[member]
            new.update((name, f"_k{i}{name}") for name in _constants(tree))
            classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
            for name in sorted((self.wanted[member] | classes) - new.keys()):
                others = taken.union(*(names for other, names in local.items() if other != member))
                choice = (name, *(f"{name}_{n}" for n in range(2, 99)))
                new[name] = next(text for text in choice if text not in others)
                taken.add(new[name])
        self.taken[bundle] = taken = taken.union(*local.values())
        pool = _shorts(taken)
        for member in members:
            for name in sorted(self.scopes[member].bound - _imported(self.trees[member]) - self.new[member].keys()):
                self.new[member][name] = next(pool)
                taken.add(self.new[member][name])

    def _merge(self, bundle, members):
        """The text of a bundle: what it imports from outside, then the members."""
        outside, body = {}, []
        for member in members:
            scopes, tree = self.scopes[member], self.trees[member]
            places = {}
            for node in _imports(tree):
                for alias in node.names:
                    self._import(member, node, alias, places, outside)
            for name, new in self.new[member].items():
                scopes.rename(name, new)
            tree.body = [node for node in tree.body if not isinstance(node, _IMPORTS)]
            if any(self.home.get(self._member(node, alias)) == bundle for node in walk(tree)
                   if isinstance(node, ast.ImportFrom) for alias in node.names):  # fmt: skip
                raise Refused(f"{member}: imports from its own bundle {bundle} inside a function")
            body += _Placed(places).visit(tree).body
        imports = []
        for (module, name), new in outside.items():
            if f"{module}.".startswith(bundle + ".") or f"{module}.{name}" in self.trees and module == bundle:
                raise Refused(f"{bundle}: needs its own submodule {module}.{name or ''} before it is there")
            line = f"from {module} import {name}" if module and name else f"import {module}"
            imports.append(line if new == (name or module) else f"{line} as {new}")
        return "\n".join([*imports, ast.unparse(ast.Module(body, [])), ""])

    def _import(self, member, node, alias, places, outside):
        """Give the uses of one imported name what they mean in the bundle. `places` {attribute node: name} are for _Placed."""
        scopes, local, bundle = self.scopes[member], alias.asname or alias.name, self.home[member]
        origin = self._member(node, alias) if isinstance(node, ast.ImportFrom) else None
        if not local.isidentifier():
            raise Refused(f"{member}: cannot follow the import of {alias.name}")
        if origin is None or self.home[origin] != bundle:
            key = (node.module, alias.name) if isinstance(node, ast.ImportFrom) else (alias.name, None)
            if key not in outside:
                names = [alias.name, local, *_shorts(self.taken[bundle])]
                free = (name for name in names if name not in self.taken[bundle])
                outside[key] = local if local in _COMPILER else next(free)
                self.taken[bundle].add(outside[key])
            scopes.rename(local, outside[key])
        elif origin == node.module:
            scopes.rename(local, self._own(member, origin, alias.name))
        else:
            for place, _ in scopes.uses[local]:
                attribute = scopes.attributes.get(place)
                if attribute is not None and isinstance(attribute.ctx, ast.Load):
                    places[attribute] = self._own(member, origin, attribute.attr)
                elif place is not alias:
                    raise Refused(f"{member}: {local} is used as more than the module {origin}")

    def _own(self, member, origin, name):
        if name not in self.new[origin]:
            raise Refused(f"{member}: {origin} has no {name} of its own")
        return self.new[origin][name]


class _Placed(ast.NodeTransformer):
    """Puts names in the place of `module.name`."""

    def __init__(self, places):
        self.places = places

    def visit_Attribute(self, node):
        if node in self.places:
            return ast.copy_location(ast.Name(self.places[node], ast.Load()), node)
        return self.generic_visit(node)


def _imports(tree):
    return [node for node in tree.body if isinstance(node, _IMPORTS)]


def _imported(tree):
    return {alias.asname or alias.name for node in _imports(tree) for alias in node.names}


def bundle(sources, names):
    """{path: source} with the BUNDLES in the place of their members. `names`: {path: flat module name}, of tools/flat.py."""
    paths = {name: path for path, name in names.items()}
    table = {
        flat(f"firmware.{name}".rstrip(".")): [flat(f"firmware.{member}") for member in members.split()]
        for name, members in BUNDLES.items()
    }
    homes = {}
    for members in JOINED:
        members = [flat(f"firmware.{member}") for member in members.split()]
        homes.update(dict.fromkeys(members, members[0]))
        table[members[0]] = members
    sources = {names[path]: redirect(source, homes) for path, source in sources.items()}
    result = Bundler(sources, table, homes, [flat(f"firmware.{member}") for member in OPEN]).result()
    return {paths[name]: source for name, source in result.items()}
