/* The one typed error of the key modules: code (see ../keys.js), params for the sentence, optional url and message. */

export class KeyFault extends Error {
  constructor(code, params = {}, { url = "", message = "" } = {}) {
    super(code);
    this.name = "KeyFault";
    this.code = code;
    this.params = params;
    this.url = url;
    this.sentence = message;
  }
}
