// The reasons of the limits in French: the API says them in English (firmware/can/reasons.py). What is not known here stays as it is.
const WORDS = [
  [/^90 % of the BMS's trip limit$/, "90 % du seuil de coupure du BMS"],
  [/^own limit (.*)$/, "limite propre $1"],
  [/^cell (\d+) at (.*), near under-voltage$/, "cellule $1 à $2, proche de la sous-tension"],
  [/^cell (\d+) at (.*)$/, "cellule $1 à $2"],
  [/^cell (\d+) not measured$/, "cellule $1 non mesurée"],
  [/^pack voltage or current not measured$/, "tension ou courant du pack non mesurés"],
  [/^(\w+) at (.*), cold$/, "sonde $1 à $2, froid"],
  [/^(\w+) at (.*), hot$/, "sonde $1 à $2, chaud"],
  [/^cell temperatures not measured, (\w+) at (.*)$/, "température des cellules non mesurée, sonde $1 à $2"],
  [/^temperature sensor (\w+) lost or not plausible$/, "sonde de température $1 perdue ou incohérente"],
  [/^BMS fault without a known cause$/, "défaut du BMS sans cause connue"],
  [/^BMS settings not re-read for (\d+) min$/, "réglages du BMS non relus depuis $1 min"],
  [/^BMS settings absent or out of order$/, "réglages du BMS absents ou incohérents"],
  [/^no good poll for (\d+) s$/, "pas de lecture valide du BMS depuis $1 s"],
  [/^rising to (.*)$/, "monte vers $1"],
  [/^absorption, (.*) a cell$/, "absorption, $1 par cellule"],
  [/^float, (.*) a cell$/, "floating, $1 par cellule"],
  [/^falling to (.*), waits for the pack to rest there$/, "descend vers $1, attend que le pack y repose"],
  [/^falling to (.*)$/, "descend vers $1"],
  [/^BMS (.*)$/, "BMS : $1"],
];

export function french(reason) {
  for (const [pattern, words] of WORDS) {
    if (pattern.test(reason)) return reason.replace(pattern, words).replace(/(\d)\.(\d)/g, "$1,$2");
  }
  return reason;
}
