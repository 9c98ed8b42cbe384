// The words of the first set-up. English is the key of its French.
const FR = {
  Dashboard: "Tableau de bord",
  "Log in": "Se connecter",
  "Admin password": "Mot de passe administrateur",
  WiFi: "WiFi",
  "Search again": "Chercher à nouveau",
  "Name of the network": "Nom du réseau",
  "Password of the network": "Mot de passe du réseau",
  "Show passwords": "Afficher les mots de passe",
  "Without it anybody in this network can change the settings.":
    "Sans lui, n'importe qui sur ce réseau peut changer les réglages.",
  "Set it now": "Le choisir maintenant",
  "New password, 8 to 64 characters (user name: admin)": "Nouveau mot de passe, 8 à 64 caractères (utilisateur : admin)",
  Later: "Plus tard",
  Battery: "Batterie",
  Cells: "Cellules",
  Board: "Carte",
  Model: "Modèle",
  Pins: "Broches",
  "Empty: as the board has them.": "Vide : celles de la carte.",
  "Save and connect": "Enregistrer et connecter",
  "from the BMS": "d'après le BMS",
  "Searching for networks…": "Recherche des réseaux…",
  "No network found.": "Aucun réseau trouvé.",
  "No list of networks: ": "Pas de liste de réseaux : ",
  open: "ouvert",
  "not changed": "inchangé",
  "Connected to ": "Connecté à ",
  "No connection to ": "Pas de connexion à ",
  "Wrong password.": "Mauvais mot de passe.",
  "The gateway does not answer. Is this telephone still connected to its WiFi?":
    "La passerelle ne répond pas. Ce téléphone est-il encore connecté à son WiFi ?",
  "Choose: admin password now or later.": "Choisissez : mot de passe administrateur maintenant ou plus tard.",
  "The admin password needs 8 to 64 characters.": "Le mot de passe administrateur doit avoir de 8 à 64 caractères.",
  "The password of the network needs 8 to 64 characters; none for an open network.":
    "Le mot de passe du réseau doit avoir de 8 à 64 caractères ; vide pour un réseau ouvert.",
  "A pin is a number.": "Une broche est un nombre.",
  "Saving…": "Enregistrement…",
  "Saved.": "Enregistré.",
  "The gateway restarts with the new pins. If this page does not go on, connect to its WiFi again.":
    "La passerelle redémarre avec les nouvelles broches. Si cette page ne continue pas, reconnectez-vous à son WiFi.",
  "Connecting to ": "Connexion à ",
  "The gateway goes on trying. Correct the settings above, or wait.":
    "La passerelle continue d'essayer. Corrigez les réglages ci-dessus, ou attendez.",
  "From now on: ": "Désormais : ",
  " or ": " ou ",
  "Connect this telephone to the same network. The gateway's own WiFi goes off in a minute.":
    "Connectez ce téléphone au même réseau. Le WiFi de la passerelle s'arrête dans une minute.",
  "The page has lost the gateway: if it has found the network, it is at ":
    "La page a perdu la passerelle : si elle a trouvé le réseau, elle est à ",
  // what the gateway says
  "busy, ask again in a few seconds": "occupé, redemandez dans quelques secondes",
  "the scan does not end": "la recherche ne finit pas",
  "this machine has no WiFi of ours": "cette machine n'a pas de WiFi à nous",
  "Too many requests": "Trop d'essais",
  "Service unavailable": "Service indisponible",
  "network not found": "réseau introuvable",
  "wrong password": "mauvais mot de passe",
  "its security is not supported": "sa sécurité n'est pas prise en charge",
  "connection lost": "connexion perdue",
  "no answer, or no address": "pas de réponse, ou pas d'adresse",
  "refused by the network": "refusé par le réseau",
};

export const french = navigator.language.toLowerCase().startsWith("fr");
export const t = (text) => (french && FR[text]) || text;
