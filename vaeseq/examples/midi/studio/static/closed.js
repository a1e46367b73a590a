// The page of an address with a wrong token: lets a person in who has the right one, with the
// session of this address.

import { byId } from "./page.js";
import { follow, inAddress, join } from "./token.js";

const fragment = location.hash.slice(1);

function enter(token) {
  if (token === inAddress()) location.reload();
  else location.replace(`/?token=${encodeURIComponent(token)}#${fragment}`);
}

byId("kept").hidden = !fragment;
byId("way").addEventListener("submit", (event) => {
  event.preventDefault();
  const told = byId("told").value.trim();
  if (!follow(told, fragment, enter)) byId("said").textContent = "That is no address with a token.";
});
join({ mine: () => null, take: enter }).ask();
