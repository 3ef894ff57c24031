"""Would the verdict change under other choices of analysis? factors: the choices; curve: every verdict under every
combination of them; effects: what each choice does."""
