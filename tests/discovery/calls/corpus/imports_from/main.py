from other import work as renamed

renamed()
