"""How dates are written where Django's own choice would mislead a Belgian reader."""
